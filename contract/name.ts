import * as v from 'valibot';

/** The name of a role, network or node: a short lower-case word, safe in a policy line, a DNS label and a set name. */
export const Name = v.pipe(
  v.string(),
  v.regex(/^[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?$/, 'must be 1 to 20 of a-z, 0-9 and -, starting with a letter'),
  v.examples(['internal']),
);
export type Name = v.InferOutput<typeof Name>;

/**
 * What a person calls a device or themselves: letters of any script, digits, marks, spaces and . _ ' - ( ).
 * Control and direction characters are refused: such a name would lie on a screen or in a log.
 */
export const DisplayName = v.pipe(
  v.string(),
  v.regex(
    /^[\p{L}\p{N}](?:[\p{L}\p{N}\p{M} ._'()-]{0,61}[\p{L}\p{N}\p{M}.)])?$/u,
    "must be 1 to 63 letters, digits, spaces or . _ ' - ( ), starting with a letter or digit",
  ),
  v.examples(["Ana's laptop"]),
);
export type DisplayName = v.InferOutput<typeof DisplayName>;

/** An e-mail address, kept in lower case: it names the user in policies and tests. */
export const Email = v.pipe(
  v.string(),
  v.maxLength(254, 'is longer than an e-mail address can be'),
  v.regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9_+-])?@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
    'must be an e-mail address such as ana@example.com',
  ),
  v.toLowerCase(),
  v.examples(['ana@example.com']),
);
export type Email = v.InferOutput<typeof Email>;

/** UUID version 7 (RFC 9562): sorts by its time of making. */
export const Id = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'must be an id as the API gives it'),
  v.examples(['0193b0a4-7c1e-7d2a-9f3e-2a6b8c4d1e5f']),
);
export type Id = v.InferOutput<typeof Id>;

/** A moment in UTC, RFC 3339 with milliseconds. */
export const Timestamp = v.pipe(v.string(), v.isoTimestamp(), v.examples(['2026-12-01T08:00:00.000Z']));
export type Timestamp = v.InferOutput<typeof Timestamp>;

/** A moment as people write it: RFC 3339 in any time zone. Turned into a Timestamp. */
export const Moment = v.pipe(
  Timestamp,
  v.check((text) => !Number.isNaN(Date.parse(text)), 'is not a date of the calendar'),
  v.transform((text): Timestamp => new Date(text).toISOString()),
);

export const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
