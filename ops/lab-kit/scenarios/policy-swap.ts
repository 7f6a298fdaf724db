import { join } from 'node:path';
import * as v from 'valibot';
import { LabError } from '../command.ts';
import type { Host } from '../host.ts';
import type { Program } from '../program.ts';
import { type Context, expect, type Scenario } from '../scenario.ts';
import { addresses, machineAtHome, officeTopology, openOffice } from './office.ts';
import { rounded } from './onboarding-measures.ts';
import { leaks, type Port, type Swap } from './policy-swap-judge.ts';
import { type Joined, joinByHand, type Master, makeUser, masterOn, stateDir, up } from './product.ts';

const program = (name: string) => join(import.meta.dir, '../programs', name);
const Count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** Both documents open udp/9000; each one of the others; nobody udp/9003. A thousand packets a second to each. */
const streams = ['9000=500', '9001=1000', '9002=1000', '9003=1000'];
const documentFor = (port: Port, more: readonly string[] = []) =>
  [
    'role developer',
    'role admin includes developer',
    'network internal = 172.19.0.0/16 via n1 dev br-internal',
    `allow developer -> internal udp/9000, tcp/8000`,
    `allow developer -> internal udp/${port}, tcp/${port}`,
    ...more,
    '',
  ].join('\n');

export const policySwap: Scenario = {
  name: 'policy-swap',
  description:
    'documents change under traffic, the agent is killed at every step: nothing allowed is lost, nothing leaks',
  topology: officeTopology,
  figures: v.object({
    swaps: Count,
    kills: Count,
    lost_allowed: Count,
    leaked_forbidden: Count,
    narrowed_reset_ms: v.number(),
    runout_reset_ms: v.number(),
  }),
  async run(context) {
    const { step, short } = context;
    const { master, laptop, agent } = await step('a developer is inside', () => open(context));
    const swaps: Swap[] = [];
    const hearing = await master.intranet.start('hear', [
      'bun',
      program('ticks.ts'),
      'hear',
      '9000',
      '9001',
      '9002',
      '9003',
    ]);
    await hearing.says(/running/);
    await put(master, documentFor('9001'));
    const sending = laptop.host.start('send', ['bun', program('ticks.ts'), 'send', addresses.intranet, ...streams]);
    await sending.says(/running/);

    const wanted = short ? 6 : 50;
    await step(`${wanted} documents take each other's place`, async () => {
      while (swaps.length < wanted) swaps.push(await swap(master, swaps.length));
    });
    const kills = await step(
      'and once more each, with the agent killed before every one of its commands',
      async (note) => {
        const count = await killEverywhere(master, agent, swaps, short ? 4 : 200);
        note(`${count} kills`);
        return count;
      },
    );
    const { lost_allowed, leaked_forbidden } = await step(
      'nothing allowed was lost, nothing forbidden passed',
      async (note) => {
        await sending.stop('SIGTERM');
        await Bun.sleep(500);
        await hearing.stop('SIGTERM');
        const lost_allowed = await lostInside(master.node);
        const result = { lost_allowed, ...judge(sending, hearing, swaps, short ? 250 : 50) };
        note(`${result.packets} packets; ${result.lost_allowed} lost, ${result.leaked_forbidden} leaked`);
        expect(result.lost_allowed === 0 && result.leaked_forbidden === 0, () => JSON.stringify(result));
        return result;
      },
    );
    const narrowed_reset_ms = await step('a narrowed grant ends a running flow by reset', (note) =>
      narrowed(master, laptop, note),
    );
    const runout_reset_ms = await step('and so does one that runs out', (note) => runOut(master, laptop, note));
    return { swaps: swaps.length, kills, lost_allowed, leaked_forbidden, narrowed_reset_ms, runout_reset_ms };
  },
};

type Node = Master & { intranet: Host };

async function open({ lab }: Context): Promise<{ master: Node; laptop: Joined; agent: AgentByHand }> {
  const office = await openOffice(lab);
  await up(office.node);
  const master = { ...(await masterOn(office.node)), intranet: office.intranet };
  const echo = office.intranet.start('echo', ['bun', program('mirror.ts'), '8000', '9001', '9002']);
  await echo.says(/listening/);
  const userId = await makeUser(master, 'ana@example.com', 'developer');
  const laptop = await joinByHand(master, await machineAtHome(lab, office, 'laptop'), userId);
  await put(master, documentFor('9001'));
  await countAllowed(office.node);
  const agent = await AgentByHand.takeOver(office.node);
  for (
    const end = Date.now() + 15_000;
    (await master.owner.call('GET', '/healthz')).status !== 200;
    await Bun.sleep(50)
  )
    expect(Date.now() < end, () => 'the master does not come back');
  return { master, laptop, agent };
}

const Policy = v.object({ revision: v.number() });

/** Puts a document in force and waits until the node says that it is. @returns when it was called, and when that was. */
async function put(
  { owner }: Master,
  document: string,
  act: () => Promise<void> = async () => undefined,
): Promise<{ calledAt: number; doneAt: number }> {
  const { etag } = await owner.call('GET', '/v1/policy');
  const answer = await owner.call('PUT', '/v1/policy', { document }, { 'if-match': etag ?? '' });
  if (answer.status !== 200) throw new LabError(`PUT /v1/policy answered ${answer.status}: ${answer.text}`);
  await act();
  return { calledAt: answer.sentAt, doneAt: await inForce({ owner }) };
}

/** Waits until n1 has applied the newest revision. */
async function inForce({ owner }: Pick<Master, 'owner'>): Promise<number> {
  const Node = v.object({ applied: v.nullable(v.object({ revision: v.number() })) });
  const wanted = v.parse(Policy, JSON.parse((await owner.call('GET', '/healthz')).text)).revision;
  for (const end = Date.now() + 30_000; ; await Bun.sleep(20)) {
    const { text, answeredAt } = await owner.call('GET', '/v1/nodes/n1');
    if ((v.parse(Node, JSON.parse(text)).applied?.revision ?? 0) >= wanted) return answeredAt;
    expect(Date.now() < end, () => `n1 has not put revision ${wanted} in force after 30 s: ${text}`);
  }
}

const portAfter = (place: number): Port => (place % 2 === 0 ? '9002' : '9001');

async function swap(master: Node, place: number, act?: () => Promise<void>): Promise<Swap> {
  const to = portAfter(place);
  const done = await put(master, documentFor(to), act);
  // Long enough to see what passes under it.
  await Bun.sleep(100);
  return { from: to === '9001' ? '9002' : '9001', to, ...done };
}

/** The agent, run by the scenario instead of the supervisor, so that it can be killed at a chosen command. */
class AgentByHand {
  private readonly node: Host;
  private running: Program | undefined;

  private constructor(node: Host) {
    this.node = node;
  }

  static async takeOver(node: Host): Promise<AgentByHand> {
    await node.kill9(/ops\/setup\/supervisor\.ts|api\/main\.ts serve|agent\/main\.ts run/);
    node.start('master', ['bun', 'api/main.ts', 'serve', '--state-dir', stateDir, '--listen', '0.0.0.0:8443']);
    const agent = new AgentByHand(node);
    await agent.placeKillers();
    await agent.start();
    return agent;
  }

  /** Before which command of its own, counted from now, it is killed. */
  async killBefore(place: number): Promise<void> {
    await this.node.must(['sh', '-c', 'rm -f /run/kill-count; echo "$0" >/run/kill-before', `${place}`]);
  }

  async live(): Promise<void> {
    await this.node.must(['rm', '-f', '/run/kill-before']);
  }

  get isAlive(): boolean {
    return this.node.processes().some(({ argv }) => /agent\/main\.ts run/.test(argv));
  }

  async start(): Promise<void> {
    this.running = this.node.start('agent', ['bun', 'agent/main.ts', 'run', '--state-dir', stateDir], {
      env: { PATH: `/run/killers:${process.env.PATH}` },
    });
    await this.running.says(/begins/);
  }

  /** Stand-ins that come first on its PATH: they kill who calls them when it is time, or do the real thing. */
  private async placeKillers(): Promise<void> {
    await this.node.must(['mkdir', '-p', '/run/killers']);
    for (const name of ['iptables-restore', 'ip6tables-restore', 'ipset', 'conntrack', 'ip', 'wg', 'sysctl']) {
      const script = `#!/bin/sh
if [ -e /run/kill-before ]; then
  count=$(($(cat /run/kill-count 2>/dev/null || echo 0) + 1)); echo $count >/run/kill-count
  [ "$count" = "$(cat /run/kill-before)" ] && { rm -f /run/kill-before; kill -9 $PPID; exit 1; }
fi
exec ${Bun.which(name) ?? name} "$@"\n`;
      await this.node.must(['sh', '-c', 'cat >"$0"; chmod +x "$0"', `/run/killers/${name}`], { stdin: script });
    }
  }
}

/** Swaps until the agent lives through a whole change; each time it dies one command later, and is started again. */
async function killEverywhere(master: Node, agent: AgentByHand, swaps: Swap[], limit: number): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    if (kills === limit) return kills;
    await agent.killBefore(kills + 1);
    let isKilled = false;
    const swapped = await swap(master, swaps.length, async () => {
      for (const end = Date.now() + 1_500; agent.isAlive && Date.now() < end; ) await Bun.sleep(10);
      isKilled = !agent.isAlive;
      await agent.live();
      if (isKilled) await agent.start();
    });
    swaps.push(swapped);
    if (!isKilled) return kills;
  }
}

function judge(sending: Program, hearing: Program, swaps: readonly Swap[], onTheWayMs: number) {
  const last = (program: Program) => JSON.parse(program.output().trimEnd().split('\n').at(-1) ?? '');
  const sent = v.parse(v.record(v.string(), v.number()), last(sending));
  const heard = v.parse(v.record(v.string(), v.array(v.number())), last(hearing));
  const of = (port: string) => heard[port] ?? [];
  expect(of('9001').length > 100 && of('9002').length > 100, () => 'hardly anything was heard: this proves nothing');
  return {
    packets: Object.values(sent).reduce((sum, count) => sum + count, 0),
    leaked_forbidden: leaks(swaps, { '9001': of('9001'), '9002': of('9002') }, onTheWayMs) + of('9003').length,
  };
}

/** @returns from the answer that the change is committed to the reset that the device got. */
async function narrowed(master: Node, laptop: Joined, note: (said: string) => void): Promise<number> {
  await put(master, documentFor('9001'));
  const talk = await converse(laptop.host, '9001');
  const { calledAt } = await put(master, documentFor('9002'));
  const { how, endedAt } = await talk();
  const ms = rounded(endedAt - calledAt);
  note(`${how}, ${ms} ms after the call`);
  expect(/ECONNRESET|reset/i.test(how), () => `it ended with ${how}`);
  return ms;
}

async function runOut(master: Node, laptop: Joined, note: (said: string) => void): Promise<number> {
  const end = new Date(Math.ceil(Date.now() / 1000) * 1000 + 4_000);
  const until = `${end.toISOString().slice(0, 19)}Z`;
  await put(master, documentFor('9002', [`allow developer -> internal tcp/9001 until ${until}`]));
  const talk = await converse(laptop.host, '9001');
  const { how, endedAt } = await talk();
  const ms = rounded(endedAt - end.getTime());
  note(`${how}, ${ms} ms after ${until}`);
  expect(/ECONNRESET|reset/i.test(how), () => `it ended with ${how}`);
  expect(ms > -1_200 && ms < 1_000, () => `it ended ${ms} ms after the grant`);
  return ms;
}

async function converse(from: Host, port: string): Promise<() => Promise<{ how: string; endedAt: number }>> {
  const talk = from.start(`talk-${port}-${Date.now()}`, ['bun', program('conversation.ts'), addresses.intranet, port]);
  await talk.says(/running/);
  await Bun.sleep(300);
  return async () => {
    const [line] = await talk.says(/^\{.*\}$/m, 15_000);
    return v.parse(v.object({ how: v.string(), endedAt: v.number() }), JSON.parse(line));
  };
}

const allowed = ['-p', 'udp', '--dport', '9000'];

/** Counts what comes to the node for the port that is always open, and what goes on from there, by rules of others. */
async function countAllowed(node: Host): Promise<void> {
  await node.must(['iptables', '-t', 'mangle', '-A', 'PREROUTING', '-i', 'wg0', ...allowed]);
  await node.must(['iptables', '-t', 'mangle', '-A', 'POSTROUTING', '-o', 'br-internal', ...allowed]);
}

/** What came and did not go on. What a busy machine loses before or behind the node is not the firewall's doing. */
async function lostInside(node: Host): Promise<number> {
  const counted = await node.must(['iptables-save', '-c', '-t', 'mangle']);
  const [came = 0, left = 0] = ['PREROUTING', 'POSTROUTING'].map((chain) =>
    Number(new RegExp(`^\\[(\\d+):\\d+\\] -A ${chain} .*--dport 9000`, 'm').exec(counted)?.[1]),
  );
  expect(came > 100, () => `only ${came} packets came: this proves nothing`);
  return came - left;
}
