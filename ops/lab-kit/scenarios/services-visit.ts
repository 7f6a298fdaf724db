import * as v from 'valibot';
import type { Host } from '../host.ts';
import { expect } from '../scenario.ts';
import { internalDomain, speak } from './services-world.ts';

/** Where the laptop has put the certificate of the authority. */
export const authorityFile = '/root/authority.pem';

export const Visit = v.strictObject({
  sso_page_ms: v.number(),
  vault_socket_ms: v.number(),
  gitlab_upload_bytes: v.number(),
  gitlab_upload_ms: v.number(),
});
export type Visit = v.InferOutput<typeof Visit>;

const name = (service: string) => `${service}.${internalDomain}`;

/** What a person does with each service in a day, by its name, and with nothing but the authority's word for it. */
export async function visit(laptop: Host, ownAddress: string, uploadMegabytes: number): Promise<Visit> {
  const page = await ask(laptop, [`https://${name('sso')}/`]);
  const { issuer, from } = read(page.text);
  expect(issuer === `https://${name('sso')}/realms/corp`, () => `keycloak answered ${page.status}: ${page.text}`);
  expect(from === ownAddress, () => `keycloak was asked by ${from}, not by ${ownAddress}`);

  const vault_socket_ms = await speak(laptop, `wss://${name('vault')}/notifications/hub`, authorityFile);

  const bytes = uploadMegabytes * 2 ** 20;
  const source = `head -c ${bytes} /dev/zero | curl "$@"`;
  const upload = await ask(laptop, ['-T', '-', `https://${name('gitlab')}/upload`], ['sh', '-c', source, 'curl']);
  const taken = read(upload.text).length;
  expect(taken === bytes, () => `gitlab answered ${upload.status}: ${upload.text} to ${bytes} bytes`);

  const greeting = `exec 3<>/dev/tcp/${name('gitlab')}/22; head -n 1 <&3`;
  const said = (await laptop.run(['timeout', '5', 'bash', '-c', greeting])).stdout;
  expect(said.startsWith('SSH-2.0-GitLab'), () => `port 22 of gitlab said ${JSON.stringify(said)}`);

  const { ms: sso_page_ms } = page;
  return { sso_page_ms, vault_socket_ms, gitlab_upload_bytes: bytes, gitlab_upload_ms: upload.ms };
}

export type Asked = { status: number; exitCode: number; text: string; ms: number };

/** curl with the authority's certificate and no other. @returns also what was refused. */
export async function ask(laptop: Host, words: readonly string[], program = ['curl']): Promise<Asked> {
  const common = ['-sS', '-m', '300', '--cacert', authorityFile, '-w', '\n%{http_code} %{time_total}'];
  const { stdout, exitCode } = await laptop.run([...program, ...common, ...words], { timeoutMs: 310_000 });
  const lines = stdout.split('\n');
  const [status = 0, seconds = 0] = (lines.pop() ?? '').split(' ').map(Number);
  return { status, exitCode, text: lines.join('\n'), ms: Math.round(seconds * 1000) };
}

const Body = v.object({
  issuer: v.optional(v.string()),
  from: v.nullish(v.string()),
  length: v.optional(v.number()),
});

function read(text: string): v.InferOutput<typeof Body> {
  try {
    return v.parse(Body, JSON.parse(text));
  } catch {
    return {};
  }
}
