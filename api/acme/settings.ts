import { existsSync, readFileSync, rmSync } from 'node:fs';
import * as v from 'valibot';
import { Email } from '#contract/name.ts';
import { writeDurably } from '../state/files.ts';
import type { MasterPaths } from '../state/layout.ts';

export const letsEncrypt = 'https://acme-v02.api.letsencrypt.org/directory';

/** Which authority is asked for which name, and where it finds our answer to its challenge (RFC 8555, http-01). */
export const AcmeSettings = v.object({
  directory: v.pipe(v.string(), v.url()),
  /** Certificates (PEM) that the authority's own server is checked with, where the system's do not do. */
  authorityFile: v.optional(v.string()),
  name: v.pipe(v.string(), v.regex(/^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/)),
  email: Email,
  http: v.object({ hostname: v.string(), port: v.number() }),
});
export type AcmeSettings = v.InferOutput<typeof AcmeSettings>;

export function readAcmeSettings({ acmeSettings }: MasterPaths): AcmeSettings | undefined {
  if (!existsSync(acmeSettings)) return undefined;
  return v.parse(AcmeSettings, JSON.parse(readFileSync(acmeSettings, 'utf8')));
}

export function writeAcmeSettings(paths: MasterPaths, settings: AcmeSettings): void {
  writeDurably(paths.acmeSettings, `${JSON.stringify(settings, undefined, 2)}\n`);
}

export function removeAcmeSettings({ acmeSettings }: MasterPaths): void {
  rmSync(acmeSettings, { force: true });
}
