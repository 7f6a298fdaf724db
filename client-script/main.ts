import { resolve } from 'node:path';
import { type Invocation, readCommandLine } from './command-line.ts';
import { ClientFailure, exitCodes, messageOf } from './failure.ts';
import { helpText } from './help.ts';
import { type Doing, join } from './join.ts';
import { leave } from './leave.ts';
import { selectPlatform } from './platform/select.ts';
import { progressOn } from './progress.ts';
import { joinText, statusText, upText } from './screen-text.ts';
import { startWatcher } from './start-watcher.ts';
import { StateFiles } from './state-files.ts';
import { status } from './status.ts';
import { down, up } from './up-down.ts';
import { watch } from './watch.ts';

/** Replaced by the release when it builds the bundle. */
const version = process.env.POSTERN_CLIENT_VERSION ?? 'development';

/** What a command ends with: an object for scripts, a text for people. */
type Outcome = { json: Record<string, unknown>; text: string; exitCode?: number };

async function carryOut(invocation: Invocation): Promise<Outcome> {
  if (invocation.command === 'help') return { json: {}, text: helpText(invocation.about) };
  if (invocation.command === 'version') return { json: { version }, text: `postern-client ${version}\n` };
  const platform = selectPlatform();
  const files = new StateFiles(resolve(invocation.stateDir));
  const script = resolve(process.argv[1] ?? '');
  const doing: Doing = {
    platform,
    files,
    progress: progressOn(process.stderr),
    now: Date.now,
    startWatcher: () => startWatcher(files, platform, script),
  };
  switch (invocation.command) {
    case 'join': {
      const report = await join(invocation, doing);
      return { json: report, text: joinText(report) };
    }
    case 'up': {
      const { bundle, proof } = await up(doing);
      const json = { address: bundle.address, node: proof.node, handshakeMs: Math.round(proof.handshakeMs * 10) / 10 };
      return { json, text: upText(bundle) };
    }
    case 'down':
      await down(doing);
      return { json: {}, text: 'The tunnel is down. `postern-client up` brings it up again.\n' };
    case 'status': {
      const found = await status(platform, files, Date.now());
      return { json: found, text: statusText(found), exitCode: found.connected ? 0 : exitCodes.failed };
    }
    case 'leave': {
      const report = await leave(doing, invocation.force);
      const text =
        report.wasJoined && !report.masterTold
          ? 'Everything here is removed. The master was not told: ask your admin to revoke this device.\n'
          : 'This device has left. Everything here is removed.\n';
      return { json: report, text };
    }
    case 'watch': {
      const ending = new AbortController();
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.abort());
      const log = (line: string) => void process.stderr.write(`${new Date().toISOString()} ${line}\n`);
      const watched = await watch({ platform, files, now: Date.now, log }, ending.signal);
      return { json: { watched }, text: watched ? '' : 'Another watcher is at it already.\n' };
    }
  }
}

/** Says what went wrong and what to do, and nothing of how the program looks inside. */
function explain(error: unknown, asJson: boolean): number {
  const failure =
    error instanceof ClientFailure
      ? error
      : new ClientFailure(
          'failed',
          'unexpected',
          messageOf(error),
          'Run it again; if it stays, show this to your admin.',
          error,
        );
  const { code, message, next, kind } = failure;
  if (asJson) process.stdout.write(`${JSON.stringify({ ok: false, code, message, next })}\n`);
  process.stderr.write(`postern-client: ${message}\n${next}\n`);
  return exitCodes[kind];
}

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  try {
    const invocation = readCommandLine(argv, process.env);
    // The watcher and the programs that are run need not know it.
    delete process.env.POSTERN_CODE;
    const { json, text, exitCode = 0 } = await carryOut(invocation);
    process.stdout.write(invocation.json ? `${JSON.stringify({ ok: exitCode === 0, ...json })}\n` : text);
    return exitCode;
  } catch (error) {
    return explain(error, argv.includes('--json'));
  }
}

process.exitCode = await main();
