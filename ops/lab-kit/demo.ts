import { join } from 'node:path';
import { LabError } from './command.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { repository } from './paths.ts';
import { asPainted, bold, dim, tell } from './report.ts';
import { addresses, machineAtHome, officeTopology, openOffice } from './scenarios/office.ts';
import { openSites } from './scenarios/onboarding-measures.ts';

/** What a newcomer sees: from `ops/up` on a fresh node to a laptop that is inside, and out again. */
export async function runDemo(lab: Lab): Promise<void> {
  tell(bold('A node on the internet, an office network behind it, and a laptop at home. All on this machine.'));
  tell(dim(officeTopology));
  const office = await openOffice(lab);
  await openSites(office);
  const laptop = await machineAtHome(lab, office, 'laptop');
  const postern = (...words: string[]) => show(office.node, 'postern', ...words);

  say('First, the node. One command on a fresh machine:');
  await show(office.node, 'ops/up', '--detach', '--endpoint', addresses.node);

  say('Ana is an admin, and admins may reach the office network behind n1:');
  await postern('user', 'add', 'ana@example.com', '--role', 'admin');
  await postern('network', 'add', 'internal', '172.19.0.0/16', '--dev', 'br-internal', '--role', 'admin');

  say('A code for one device of hers. It works once:');
  const issued = await postern('code', 'add', 'ana@example.com');
  const code = /(?:[0-9A-Z]{5}-){4}[0-9A-Z]{5}/.exec(issued)?.[0];
  const line = /^.*mktemp.*$/m.exec(issued)?.[0].trim();
  if (code === undefined || line === undefined) throw new LabError('`postern code add` showed no code and join line');

  say('At home, behind a NAT router, Ana has no way to the office:');
  await refused(laptop, 'curl', '-sS', '-m', '1', `http://${addresses.intranet}/`);

  say('She pastes the line, and types the code when asked:');
  prompt(laptop, line);
  const session = laptop.terminal(['sh', '-c', line], { cwd: '/root' });
  await session.shows(/code[^\n]*[:?>]\s*$/i, 30_000);
  session.type(`${code}\n`);
  const exitCode = await session.exited;
  tell(indented(session.screen));
  if (exitCode !== 0) throw new LabError(`the client ended with ${exitCode}`);

  say('And she is inside:');
  await show(laptop, 'curl', '-sS', `http://${addresses.intranet}/`);

  // Within a second the node has told the master of a device that arrived.
  await Bun.sleep(1_500);
  say('The day the laptop is lost:');
  await postern('device', 'list');
  await postern('device', 'revoke', 'laptop');
  await refused(laptop, 'curl', '-sS', '-m', '1', `http://${addresses.intranet}/`);
  tell(`\n${bold('That was Postern.')} Nothing of it is left on this machine.`);
}

function say(text: string): void {
  tell(`\n${bold(text)}`);
}

function prompt(host: Host, command: string): void {
  tell(`  ${dim(`${host.name} $`)} ${command}`);
}

/** Shows a command that works, and what it says. @returns that. */
async function show(host: Host, command: string, ...words: readonly string[]): Promise<string> {
  const { exitCode, screen } = await shown(host, command, ...words);
  if (exitCode !== 0) throw new LabError(`${command} ended with ${exitCode}`);
  return screen;
}

/** Shows a command that must not work. */
async function refused(host: Host, command: string, ...words: readonly string[]): Promise<void> {
  const { exitCode } = await shown(host, command, ...words);
  if (exitCode === 0) throw new LabError(`${command} worked, and should not`);
}

async function shown(host: Host, command: string, ...words: readonly string[]) {
  prompt(host, [command, ...words].join(' '));
  const session = host.terminal([command.startsWith('ops/') ? join(repository, command) : command, ...words]);
  const exitCode = await session.exited;
  tell(indented(session.screen));
  return { exitCode, screen: session.screen };
}

const indented = (screen: string) => asPainted(screen).trimEnd().replace(/^/gm, '    ');
