/** One change of the document: from the call until the node said that it is in force. Moments in ms since 1970. */
export type Swap = { from: Port; to: Port; calledAt: number; doneAt: number };

/** The port that one of the two documents opens and the other does not. */
export type Port = '9001' | '9002';

/**
 * Counts the packets that passed although nobody allowed them: sent to the port that the document in force forbids, or
 * within a change to the former port after the new one was seen open. `heard` are moments of sending, by port. What was
 * sent `onTheWayMs` after the first sign of the new document may still have come before it: a kernel that is held up on
 * one core changes the order of packets.
 */
export function leaks(
  swaps: readonly Swap[],
  heard: Readonly<Record<Port, readonly number[]>>,
  onTheWayMs: number,
): number {
  const firstOpen = swaps.map(
    ({ to, calledAt, doneAt }) => heard[to].find((at) => at >= calledAt && at <= doneAt) ?? doneAt,
  );
  const isLeak = (port: Port, sentAt: number): boolean => {
    const last = swaps.findLastIndex(({ calledAt }) => calledAt <= sentAt);
    const swap = swaps[last];
    if (swap === undefined) return port !== swaps[0]?.from;
    if (sentAt > swap.doneAt) return port !== swap.to;
    return port === swap.from && sentAt > (firstOpen[last] ?? swap.doneAt) + onTheWayMs;
  };
  return (['9001', '9002'] as const).reduce(
    (sum, port) => sum + heard[port].filter((sentAt) => isLeak(port, sentAt)).length,
    0,
  );
}
