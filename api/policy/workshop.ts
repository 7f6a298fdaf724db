import type { Work } from './work.ts';

/** What an answer is after its way through JSON: a new value, that nobody else has. */
export type Fresh<T> = T extends object ? { -readonly [Key in keyof T]: Fresh<T[Key]> } : T;

export type Workshop = ReturnType<typeof workshopOf>;

/** The thread ended, failed or took too long. Nothing was done; the next question gets a new thread. */
export class WorkFailed extends Error {
  override readonly name = 'WorkFailed';
  readonly code = 'work-failed';
}

export type WorkshopSettings = {
  openThread: () => Worker;
  /** A question that takes longer is given up, and its thread with it. */
  limitMilliseconds: number;
  /** A thread without a question for so long is let go: it holds memory. */
  idleMilliseconds: number;
};

export const defaultWorkshop: WorkshopSettings = {
  openThread: () => new Worker(new URL('./worker.ts', import.meta.url)),
  limitMilliseconds: 60_000,
  idleMilliseconds: 30_000,
};

/**
 * Does work with long documents in a thread of its own, so that it delays nobody else's request. One question at a time;
 * the thread is started at the first, and does not keep the process from ending.
 */
export function workshopOf({ openThread, limitMilliseconds, idleMilliseconds }: WorkshopSettings = defaultWorkshop) {
  let thread: Worker | undefined;
  let waiting: PromiseWithResolvers<string> | undefined;
  let idle: Timer | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  const letGo = (): void => {
    clearTimeout(idle);
    const former = thread;
    thread = undefined;
    former?.terminate();
  };

  const fail = (why: string): void => {
    letGo();
    waiting?.reject(new WorkFailed(`a policy could not be looked at: ${why}`));
  };

  const start = (): Worker => {
    const started = openThread();
    const only = (act: () => void) => () => {
      if (thread === started) act();
    };
    started.onmessage = ({ data }: MessageEvent<string>) => waiting?.resolve(data);
    started.onerror = (event) => {
      event.preventDefault();
      only(() => fail(event.message))();
    };
    started.addEventListener(
      'close',
      only(() => fail('its thread ended')),
    );
    started.unref();
    return started;
  };

  const answerOf = async (message: string): Promise<string> => {
    if (isClosed) throw new WorkFailed('the master stops');
    clearTimeout(idle);
    waiting = Promise.withResolvers();
    thread ??= start();
    thread.postMessage(message);
    const timer = setTimeout(() => fail('it took too long'), limitMilliseconds);
    try {
      return await waiting.promise;
    } finally {
      clearTimeout(timer);
      waiting = undefined;
      if (thread !== undefined) {
        idle = setTimeout(letGo, idleMilliseconds);
        idle.unref();
      }
    }
  };

  return {
    /** @throws WorkFailed */
    async ask<K extends keyof Work>(kind: K, question: Parameters<Work[K]>[0]): Promise<Fresh<ReturnType<Work[K]>>> {
      const message = JSON.stringify({ kind, question });
      const answer = last.then(() => answerOf(message));
      last = answer.catch(() => {});
      return JSON.parse(await answer);
    },
    /** Ends the thread; what is asked from now on fails. */
    close(): void {
      isClosed = true;
      fail('the master stops');
    },
  };
}
