import { existsSync, readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { writeDurably } from '../state/files.ts';
import type { MasterPaths } from '../state/layout.ts';
import type { AcmeSettings } from './settings.ts';

const challengePath = '/.well-known/acme-challenge/';

/**
 * Asks the authority for a certificate for the key that is in use, so that whoever has pinned that key goes on. The
 * answer to its challenge is served on the HTTP port for as long as this takes, and nothing else is.
 *
 * @returns the chain as PEM.
 * @throws Error with what the authority said, or that the port is taken.
 */
export async function orderCertificate(paths: MasterPaths, settings: AcmeSettings, tlsKey: string): Promise<string> {
  // A heavy library, and only wanted every two months.
  const acme = await import('acme-client');
  if (settings.authorityFile !== undefined)
    acme.axios.defaults.httpsAgent = new Agent({ ca: readFileSync(settings.authorityFile, 'utf8') });
  const accountKey = existsSync(paths.acmeAccount)
    ? readFileSync(paths.acmeAccount)
    : await acme.crypto.createPrivateEcdsaKey('P-256');
  if (!existsSync(paths.acmeAccount)) writeDurably(paths.acmeAccount, accountKey);
  const [, request] = await acme.crypto.createCsr({ commonName: settings.name, altNames: [settings.name] }, tlsKey);

  const answers = new Map<string, string>();
  const server = Bun.serve({
    ...settings.http,
    fetch(asked) {
      const { pathname } = new URL(asked.url);
      const answer = pathname.startsWith(challengePath) ? answers.get(pathname.slice(challengePath.length)) : undefined;
      return answer === undefined ? new Response(null, { status: 404 }) : new Response(answer);
    },
  });
  try {
    const client = new acme.Client({ directoryUrl: settings.directory, accountKey, backoffAttempts: 20 });
    return await client.auto({
      csr: request,
      email: settings.email,
      termsOfServiceAgreed: true,
      challengePriority: ['http-01'],
      // It would ask for our public name from here, which need not lead back to us.
      skipChallengeVerification: true,
      challengeCreateFn: async (_, { token }, keyAuthorization) => void answers.set(token, keyAuthorization),
      challengeRemoveFn: async (_, { token }) => void answers.delete(token),
    });
  } finally {
    await server.stop(true);
  }
}
