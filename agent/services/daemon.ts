/** A program that should run beside the agent, and with what configuration. */
export type Daemon = {
  /**
   * It must stay in the foreground, and what it writes to its outputs is kept as its log. The full path of the program
   * comes first; together the words must belong to this daemon alone on this machine.
   */
  argv: readonly [string, ...string[]];
  /** In `serviceDirectory(…, name)`, as all of its files. */
  config: { path: string; content: string };
  /**
   * Files that the configuration leads to, written before it is checked. Give one another name when its content changes,
   * so that a configuration that is refused leaves what is in force as it was.
   */
  beside?: readonly { path: string; content: string }[];
  /** Has the program itself check a configuration that stands at `path`, before it takes the place of the one in force. */
  check: (path: string) => readonly [string, ...string[]];
  /** How it takes up a new configuration. */
  reload: 'SIGHUP' | 'restart' | readonly [string, ...string[]];
  /** Its own pid files. They are removed before it is started: a stale one would keep it from starting. */
  pidFiles?: readonly string[];
};

/** Where all files of a daemon are; the directory is removed with it. */
export const serviceDirectory = (directory: string, name: string) => `${directory}/${name}`;

/** `problem` is why it does not run, or not with the configuration that it should have; for people. */
export type DaemonState = { pid: number | undefined; problem: string | undefined };

/**
 * How long to wait before a program is started again that died after `livedMs`. One that lived long is started at once;
 * one that dies again and again is given more time each time.
 */
export function pauseAfter(livedMs: number, previousMs: number): number {
  if (livedMs >= longLifeMs) return 0;
  return Math.min(previousMs === 0 ? firstPauseMs : previousMs * 2, longestPauseMs);
}

/** Whether a program that waits for this long before it is started again has a problem, and not only bad luck. */
export const isTrouble = (pauseMs: number) => pauseMs >= 1_000;

export const longLifeMs = 10_000;
const firstPauseMs = 100;
const longestPauseMs = 10_000;
