import { createHash } from 'node:crypto';
import { Refusal } from './refusal.ts';

type Context = { request: Request; set: { status?: number | string; headers: Record<string, string | number> } };

/**
 * The strong validator of a thing (RFC 9110 §8.8): a hash of what is `stored` and of what is `observed` meanwhile, such
 * as traffic. The two halves are apart, so that a change by somebody else is told from a packet that went by.
 */
export function etagOf(stored: unknown, observed?: unknown): string {
  return observed === undefined ? `"${hashOf(stored)}"` : `"${hashOf(stored)}.${hashOf(observed)}"`;
}

/** Answers one thing with its ETag; with 304 and nothing more when the caller has it already. */
export function tagged<T>({ request, set }: Context, thing: T, etag: string): T {
  set.headers.etag = etag;
  const known = request.headers.get('if-none-match');
  if (request.method !== 'GET' || known === null || !matches(known, etag, asGiven)) return thing;
  set.status = 304;
  // Elysia sends no body then, and has no schema for it.
  return undefined as T;
}

/**
 * Refuses a change of something that is not what the caller saw (If-Match), or that exists against the caller's wish
 * (If-None-Match: *). Without these headers every change is welcome. `etag` is undefined for what does not exist.
 *
 * To be called in the same turn as the change: nothing can come in between.
 */
export function expectMatch(request: Request, etag: string | undefined): void {
  const seen = request.headers.get('if-match');
  if (seen !== null && !matches(seen, etag, storedHalf))
    throw new Refusal('precondition-failed', 'It was changed, or is not there. Read it again.');
  const unwanted = request.headers.get('if-none-match');
  if (unwanted !== null && matches(unwanted, etag, asGiven))
    throw new Refusal('precondition-failed', 'It exists already.');
}

function matches(header: string, etag: string | undefined, part: (tag: string) => string): boolean {
  if (etag === undefined) return false;
  return header.trim() === '*' || header.split(',').some((tag) => part(tag.trim()) === part(etag));
}

/** For reading it is enough that something on the way called our tag a weak one. */
const asGiven = (tag: string): string => tag.replace(/^W\//, '');

const storedHalf = (tag: string): string => tag.replace(/\.[^.]*"$/, '"');

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}
