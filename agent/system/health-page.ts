import { healthPort } from '#contract/probe.ts';

/**
 * Says on this machine alone whether the agent lives and its node counts, for programs that must not believe what an agent
 * wrote that has died since. 503: it does not count.
 */
export function openHealthPage(isWell: () => boolean, log: (line: string) => void): { stop(): void } {
  try {
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: healthPort,
      fetch: () => new Response(null, { status: isWell() ? 200 : 503 }),
    });
    return { stop: () => void server.stop(true) };
  } catch (error) {
    log(`127.0.0.1:${healthPort} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    return { stop: () => undefined };
  }
}
