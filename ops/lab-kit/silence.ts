/** Two moments, in ms since 1970. */
export type Span = { from: number; to: number };

/** The longest time without an answer, in ms, and how much was asked around it. `open`: it was not over yet. */
export type Silence = { longestMs: number; startedAt: number; open: boolean; answered: number; failed: number };

const within = (moments: readonly number[], { from, to }: Span) => moments.filter((at) => at >= from && at <= to);

/** `answered` and `failed` are moments in order. What was silent before the span, or is after it, does not count. */
export function longestSilence(answered: readonly number[], failed: readonly number[], span: Span): Silence {
  const moments = [span.from, ...within(answered, span), span.to];
  let longest = { longestMs: 0, startedAt: span.from, open: false };
  for (const [index, moment] of moments.entries()) {
    const startedAt = moments[index - 1] ?? moment;
    const longestMs = moment - startedAt;
    if (longestMs > longest.longestMs) longest = { longestMs, startedAt, open: index === moments.length - 1 };
  }
  return { ...longest, answered: moments.length - 2, failed: within(failed, span).length };
}
