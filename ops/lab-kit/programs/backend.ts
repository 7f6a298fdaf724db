/**
 * A program as it stands behind a front, as far as fronts matter to it: `bun backend.ts keycloak|vaultwarden|gitlab`.
 *
 * - `keycloak`, port 8080: refuses whoever does not say in the headers of a proxy where the browser thinks it is, and
 *   answers with that place and with as many cookies as a sign-on takes.
 * - `vaultwarden`, port 8080: a page, and at `/notifications/hub` a WebSocket that says everything back.
 * - `gitlab`, port 80: takes a body of any size and says how long it was; port 22 greets like an SSH server.
 */
import { createServer } from 'node:net';

type Answer = (request: Request) => Response | Promise<Response>;

function signOn({ headers }: Request): Response {
  const told = (name: string) => headers.get(`x-forwarded-${name}`);
  if (!told('for') || told('proto') !== 'https' || !told('host') || told('port') !== '443')
    return new Response('HTTPS required', { status: 403 });
  const answer = Response.json({ issuer: `https://${told('host')}/realms/corp`, from: told('for') });
  for (const name of ['AUTH_SESSION_ID', 'KEYCLOAK_IDENTITY', 'KEYCLOAK_SESSION'])
    answer.headers.append('set-cookie', `${name}=${'x'.repeat(3_900)}; Secure; HttpOnly`);
  return answer;
}

async function takeBody({ method, body, headers }: Request): Promise<Response> {
  let length = 0;
  for await (const part of body ?? []) length += part.length;
  return Response.json({ method, length, from: headers.get('x-forwarded-for') });
}

function serve(port: number, answer: Answer): void {
  Bun.serve<undefined>({
    hostname: '0.0.0.0',
    port,
    idleTimeout: 0,
    maxRequestBodySize: 1_000_000_000,
    fetch: (request, server) =>
      new URL(request.url).pathname === '/notifications/hub' && server.upgrade(request) ? undefined : answer(request),
    websocket: { message: (socket, message) => void socket.send(message) },
  });
}

const kind = process.argv[2];
if (kind === 'keycloak') serve(8080, signOn);
else if (kind === 'vaultwarden') serve(8080, takeBody);
else {
  serve(80, takeBody);
  createServer((socket) => {
    socket.on('error', () => {});
    socket.write('SSH-2.0-GitLab-SSHD\r\n');
  }).listen(22, '0.0.0.0');
}
console.log('listening');
