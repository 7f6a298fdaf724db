/**
 * Runs programs and says how long each took, as often as it is asked: `bun stopwatch.ts`. Several in one question run
 * one after the other and are timed together. Starting them from here costs what it costs an agent to start them.
 */
import { answerAll } from './answering.ts';

type Command = { argv: string[]; stdin: string };

await answerAll(async (commands: Command[]) => {
  const start = performance.now();
  for (const { argv, stdin } of commands) {
    const child = Bun.spawn(argv, { stdin: Buffer.from(stdin), stdout: 'ignore', stderr: 'pipe' });
    const [problem, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
    if (exitCode !== 0) return { problem: `${argv.join(' ')}: ${problem.trim()} (exit code ${exitCode})` };
  }
  return { ms: performance.now() - start };
});
