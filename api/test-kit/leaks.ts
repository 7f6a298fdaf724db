import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Looks for secrets where they must not be. */

export type Secret = { name: string; value: string };
/** Something that was said or stored: where, and its text. */
export type Finding = { where: string; text: string };

/** How a secret may be written. Of a signed token the signature alone is the secret: all else may be known. */
function formsOf({ value }: Secret): string[] {
  const signature = /^eyJ[\w-]+\.[\w-]+\.([\w-]{80,})$/.exec(value)?.[1];
  const bytes = Buffer.from(signature ?? value);
  const forms = [signature ?? value, encodeURIComponent(value), bytes.toString('hex'), bytes.toString('base64url')];
  // A code may be written without its hyphens; a base64url key may be stored as bytes or in other alphabets.
  const isCode = /^(?:[0-9A-Z]{5}-)+[0-9A-Z]{5}$/.test(value);
  if (isCode) return [...forms, value.replaceAll('-', '')];
  const decoded = Buffer.from(signature ?? value.replace(/^pst_/, ''), 'base64url');
  return [...forms, decoded.toString('hex'), decoded.toString('base64'), decoded.toString('latin1')];
}

/** Every place in which a secret stands, as `NAME in WHERE`. */
export function leaksOf(secrets: readonly Secret[], findings: readonly Finding[]): string[] {
  const wanted = secrets.flatMap((secret) =>
    formsOf(secret).map((form) => ({ name: secret.name, form: form.toLowerCase() })),
  );
  return findings.flatMap(({ where, text }) => {
    const lower = text.toLowerCase();
    const found = wanted.filter(({ form }) => lower.includes(form)).map(({ name }) => `${name} in ${where}`);
    return [...new Set(found)];
  });
}

/** Every file of a folder, as its bytes. */
export function filesOf(folder: string): Finding[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { where: path.slice(folder.length + 1), text: readFileSync(path).toString('latin1') };
    });
}
