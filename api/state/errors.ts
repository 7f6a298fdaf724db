/** The state cannot be served as it is; the message says which part and what to do. */
export class StateError extends Error {
  override readonly name = 'StateError';
  readonly code: 'missing' | 'damaged' | 'untrusted';

  constructor(code: StateError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
