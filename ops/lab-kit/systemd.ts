import { join } from 'node:path';
import { type Completed, LabError } from './command.ts';
import type { Host, RunOptions } from './host.ts';

const process1 = /\/lib\/systemd\/systemd --system/;
const bootLimitMs = 30_000;

/** A lab host under the machine's own systemd: it can be switched off and on, and keeps its disks. */
export class SystemdHost {
  readonly host: Host;
  private pid = 0;

  constructor(host: Host) {
    this.host = host;
  }

  /** Switches it on and waits until systemd has started what is enabled. */
  async powerOn(): Promise<void> {
    const init = join(import.meta.dir, 'systemd-init.sh');
    const namespaces = ['--pid', '--mount', '--cgroup', '--propagation', 'private', '--mount-proc'];
    this.host.start('systemd', ['unshare', ...namespaces, '--fork', '--kill-child', 'sh', init]);
    for (const end = Date.now() + bootLimitMs; Date.now() < end; await Bun.sleep(50)) {
      const found = (await this.host.run(['pgrep', '-of', process1.source])).stdout.trim();
      this.pid = Number(found.split('\n')[0]);
      if (this.pid > 0 && (await this.run(['systemctl', 'is-system-running', '--wait'])).stdout.trim() !== '') return;
    }
    throw new LabError(`systemd does not start on ${this.host.name}`);
  }

  /** Pulls the plug: every program dies at once, without a word. */
  async powerOff(): Promise<void> {
    await this.host.kill9(/./);
    this.pid = 0;
  }

  /** Runs a program among what systemd runs. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<Completed> {
    const into = ['nsenter', '--target', String(this.pid), '--pid', '--mount', '--cgroup', '--'];
    return this.host.run([...into, ...argv], options);
  }

  /** @throws LabError with what it said. */
  async must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run(argv, options);
    if (exitCode !== 0)
      throw new LabError(`${argv.join(' ')} ended with ${exitCode}: ${stderr.trim() || stdout.trim()}`);
    return stdout;
  }
}
