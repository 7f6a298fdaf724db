import type { Endpoint } from '#contract/network.ts';

/** Where nodes listen for one another, and for devices, when nobody says otherwise. */
export const meshPort = 51_821;
export const tunnelPort = 51_820;

/** Where a node is reached in the mesh, when all that is known is where devices reach it: there, at the mesh's port. */
export function meshEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Set(endpoints.map((endpoint) => `${endpoint.slice(0, endpoint.lastIndexOf(':'))}:${meshPort}`))];
}

/** The endpoint of a node that called from this address; undefined when that is none. */
export function endpointAt(address: string): Endpoint | undefined {
  const bare = address.split('%')[0] ?? '';
  const ipv4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  if (ipv4 !== undefined) return `${ipv4}:${tunnelPort}`;
  return /^[0-9a-f:.]+$/i.test(bare) && bare.includes(':') ? `[${bare}]:${tunnelPort}` : undefined;
}
