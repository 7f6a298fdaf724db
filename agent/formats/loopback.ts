/** Reads HOST:PORT of an address that only this machine reaches, such as 127.0.0.1:9586 or [::1]:9586. */
export function parseLoopback(text: string): { hostname: string; port: number } | undefined {
  const match = /^(?:\[(::1)\]|(localhost|127(?:\.\d{1,3}){3})):(\d{1,5})$/.exec(text);
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return hostname === undefined || port > 65_535 ? undefined : { hostname, port };
}
