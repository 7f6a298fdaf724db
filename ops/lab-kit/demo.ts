import { join } from 'node:path';
import { LabError } from './command.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { repository } from './paths.ts';
import { asPainted, bold, dim, tell } from './report.ts';
import { Sampler } from './sampler.ts';
import { clusterPolicy } from './scenarios/cluster.ts';
import { faultsOf } from './scenarios/cluster-faults.ts';
import { type Landmarks, landmarksOf, nodeOf } from './scenarios/cluster-state.ts';
import {
  type ClusterWorld,
  clusterTopology,
  lan,
  machineNearby,
  type NodePlace,
  openClusterWorld,
} from './scenarios/cluster-world.ts';

const codePattern = /(?:[0-9A-Z]{5}-){4}[0-9A-Z]{5}/;

/** What a newcomer sees: three nodes, a laptop that joins, a node that dies while it works, and its end. */
export async function runDemo(lab: Lab): Promise<void> {
  tell(bold('Three nodes on three subnets, an office LAN behind them, and a laptop at home. All on this machine.'));
  tell(dim(clusterTopology));
  const world = await openClusterWorld(lab);
  const [first, ...others] = world.nodes;
  if (first === undefined) throw new LabError('there is no first node');
  const laptop = await machineNearby(world, 'laptop');
  const postern = (...words: string[]) => show(first.host, 'postern', ...words);

  say('First, a node. One command on a fresh machine:');
  await show(first.host, 'ops/up', '--detach', '--endpoint', first.address);

  say('More nodes, each with a code that works once:');
  for (const node of others) await addNode(postern, node);
  await postern('node', 'list');

  say('Who may reach what is one document:');
  await first.host.must(['sh', '-c', 'cat >/root/company.policy'], { stdin: clusterPolicy(world.nodes) });
  await show(first.host, 'cat', '/root/company.policy');
  await postern('policy', 'apply', '/root/company.policy', '--yes');
  await postern('user', 'add', 'ana@example.com', '--role', 'admin');

  await joinLaptop(postern, laptop);
  say('And she is inside:');
  await show(laptop, 'curl', '-sS', `http://${lan.intranet}/`);

  await loseNode(world, await landmarksOf(world, first.host), laptop);
  await postern('node', 'list');
  say('What it was to her device, the master has been told:');
  await postern('outages');

  say('The day the laptop is lost:');
  await postern('device', 'list');
  await postern('device', 'revoke', 'laptop');
  await refused(laptop, 'curl', '-sS', '-m', '1', `http://${lan.intranet}/`);
  tell(`\n${bold('That was Postern.')} Nothing of it is left on this machine.`);
}

type Postern = (...words: string[]) => Promise<string>;

/** A code on the master, the line on the new machine, and the code typed there. */
async function addNode(postern: Postern, { name, host }: NodePlace): Promise<void> {
  const { code, line } = issued(await postern('node', 'add', name), /^.*ops\/up.*--join.*$/m);
  // She is root there already.
  const words = line.replace(/^sudo ops\/up/, join(repository, 'ops/up'));
  await typeCode(host, `${words} --detach`, code);
}

async function joinLaptop(postern: Postern, laptop: Host): Promise<void> {
  say('A code for one device of hers. It works once:');
  const { code, line } = issued(await postern('code', 'add', 'ana@example.com'), /^.*mktemp.*$/m);
  say('At home, behind a NAT router, Ana has no way to the office:');
  await refused(laptop, 'curl', '-sS', '-m', '1', `http://${lan.intranet}/`);
  say('She pastes the line, and types the code when asked:');
  await typeCode(laptop, line, code);
}

function issued(screen: string, linePattern: RegExp): { code: string; line: string } {
  const code = codePattern.exec(screen)?.[0];
  const line = linePattern.exec(screen)?.[0].trim();
  if (code === undefined || line === undefined) throw new LabError(`no code and line are shown:\n${screen}`);
  return { code, line };
}

async function typeCode(host: Host, line: string, code: string): Promise<void> {
  prompt(host, line);
  const session = host.terminal(['sh', '-c', line], { cwd: '/root' });
  await session.shows(/code[^\n]*[:?>]\s*$/i, 30_000);
  session.type(`${code}\n`);
  const exitCode = await session.exited;
  tell(indented(session.screen));
  if (exitCode !== 0) throw new LabError(`it ended with ${exitCode}`);
}

/** The node that the laptop is on loses its power while the laptop works, and comes back. */
async function loseNode(world: ClusterWorld, landmarks: Landmarks, laptop: Host): Promise<void> {
  const victim = await nodeOf(laptop, landmarks);
  if (victim === undefined) throw new LabError('the laptop is on no node');
  const { kill } = faultsOf({ world, postern: async () => undefined });
  say(`Now she works: a new connection every 20 ms. And ${victim.name}, the node she is on, loses its power.`);
  const sampler = new Sampler(laptop, `http://${lan.intranet}/`);
  await sampler.steady();
  const from = Date.now();
  await kill.begin(victim);
  await Bun.sleep(3_000);
  await sampler.steady();
  const { longestMs, answered } = await sampler.silence(from, Date.now());
  const now = await nodeOf(laptop, landmarks);
  tell(
    `    ${answered} answers; the longest time without one: ${bold(`${Math.round(longestMs)} ms`)}. She is on ${now?.name}.`,
  );
  await show(laptop, 'postern-client', 'status');
  say(`${victim.name} is switched on again, and she does not notice:`);
  const back = Date.now();
  await kill.end(victim);
  await Bun.sleep(2_000);
  const again = await sampler.silence(back, Date.now());
  tell(`    ${again.answered} answers; the longest time without one: ${bold(`${Math.round(again.longestMs)} ms`)}.`);
  await sampler.end();
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
