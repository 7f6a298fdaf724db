import { credential, wireguardKey } from './keys.ts';

/**
 * A client that redeems one code at once with many keys, in its own process: `redeem-many.ts URL COUNT`, the code on
 * standard input. Prints the statuses.
 */

const [url, count] = process.argv.slice(2);
const code = (await Bun.stdin.text()).trim();
const bodies = await Promise.all(
  Array.from({ length: Number(count) }, async () =>
    JSON.stringify({
      code,
      publicKey: wireguardKey(),
      credentialKey: (await credential()).x,
      deviceName: 'laptop',
      platform: 'linux',
    }),
  ),
);
const statuses = await Promise.all(
  bodies.map(async (body) => {
    const response = await fetch(`${url}/v1/enrolments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      tls: { rejectUnauthorized: false },
    });
    return response.status;
  }),
);
process.stdout.write(`${JSON.stringify(statuses)}\n`);
