import { spawn } from 'node:child_process';

const againAfterMs = 5_000;

/** Follows ip-monitor(8), and starts it anew when it ends. */
export function followNetwork(onChange: () => void, signal: AbortSignal): void {
  if (signal.aborted) return;
  const child = spawn('ip', ['monitor', 'link', 'address', 'route'], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const end = () => child.kill('SIGKILL');
  signal.addEventListener('abort', end);
  child.stdout.on('data', onChange);
  let isOver = false;
  const over = () => {
    if (isOver) return;
    isOver = true;
    signal.removeEventListener('abort', end);
    setTimeout(() => followNetwork(onChange, signal), againAfterMs).unref();
  };
  child.on('error', over);
  child.on('close', over);
}
