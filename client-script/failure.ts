/** Each kind of failure has its own exit code, so that scripts can tell them apart. */
export const exitCodes = {
  failed: 1,
  usage: 2,
  refused: 3,
  unreachable: 4,
  untrusted: 5,
  lacking: 6,
} as const;
export type FailureKind = keyof typeof exitCodes;

/**
 * What went wrong, for a person: `message` says what happened and with which value, `next` what to do about it.
 * `code` is stable and for scripts. Neither text ever holds a code, a token or a private key.
 */
export class ClientFailure extends Error {
  override readonly name = 'ClientFailure';
  readonly kind: FailureKind;
  readonly code: string;
  readonly next: string;

  constructor(kind: FailureKind, code: string, message: string, next: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.kind = kind;
    this.code = code;
    this.next = next;
  }
}

export function isFailure(error: unknown, kind: FailureKind): error is ClientFailure {
  return error instanceof ClientFailure && error.kind === kind;
}

/** One line of what any thrown thing says. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
