export type ListenAddress = { hostname: string; port: number };

/** Reads HOST:PORT, where HOST is a name, an IPv4 address or an IPv6 address in brackets; port 0 takes any free one. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return hostname === undefined || port > 65_535 ? undefined : { hostname, port };
}

/** Whether only this machine itself can reach the address. */
export function isLoopback({ hostname }: ListenAddress): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i.test(hostname);
}
