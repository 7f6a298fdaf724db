import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { callerGroup } from '../formats/client-address.ts';
import { Refusal } from './refusal.ts';

/** Requests and failures in a minute. */
export type LimitSettings = { requests: number; failures: number; allFailures: number; slowDownMilliseconds: number };

export const defaultLimits: LimitSettings = {
  requests: 600,
  failures: 20,
  allFailures: 2_000,
  slowDownMilliseconds: 250,
};

export type Limits = ReturnType<typeof limitsOf>;

/**
 * Limits for callers without a valid token. Those of one address are refused beyond its own limits; when failures come
 * from everywhere at once, answers to all strangers are slowed but none is refused: a crowd cannot lock people out.
 */
export function limitsOf(settings: LimitSettings) {
  const requests = new RateLimiterMemory({ points: settings.requests, duration: 60 });
  const failures = new RateLimiterMemory({ points: settings.failures, duration: 60 });
  const allFailures = new RateLimiterMemory({ points: settings.allFailures, duration: 60 });

  return {
    /** Counts a request of a stranger. */
    async admit(address: string): Promise<void> {
      await take(requests, callerGroup(address));
      const everywhere = await allFailures.get('all');
      if (everywhere !== null && everywhere.consumedPoints > settings.allFailures)
        await Bun.sleep(settings.slowDownMilliseconds);
    },
    /** Refuses an address that has failed too often, before a guess of it is even looked at. */
    async admitGuess(address: string): Promise<void> {
      const state = await failures.get(callerGroup(address));
      if (state !== null && state.consumedPoints >= settings.failures) throw tooMany(state.msBeforeNext);
    },
    /** Counts a wrong code, assertion or token. */
    async countFailure(address: string): Promise<void> {
      await allFailures.penalty('all');
      await failures.penalty(callerGroup(address));
    },
  };
}

async function take(limiter: RateLimiterMemory, key: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (rejected) {
    if (rejected instanceof RateLimiterRes) throw tooMany(rejected.msBeforeNext);
    throw rejected;
  }
}

function tooMany(milliseconds: number): Refusal {
  const seconds = Math.max(1, Math.ceil(milliseconds / 1000));
  return new Refusal('too-many-requests', `Try again in ${seconds} seconds.`, undefined, {
    'retry-after': String(seconds),
  });
}
