import { evaluate, type Verdict } from '#policies/meaning/evaluate.ts';
import type { Packet } from '#policies/meaning/packet.ts';
import type { World } from '#policies/meaning/world.ts';
import { type Sighting, tokenOf } from '../wire/packet.ts';
import { type Ground, Party } from './policy-ground.ts';
import type { PolicyNode } from './policy-node.ts';
import type { Attempt, Kind, Packets } from './policy-packets.ts';

/** One packet, or the answer to one: what the policy says of it and what became of it. */
/** `silent`: nothing at all was seen of it. */
export type Outcome = { kinds: readonly Kind[]; allowed: boolean; agrees: boolean; silent: boolean; told: string };

/** An attempt that was let in and answered, for its flow to go on later. */
export type Flow = { attempt: Attempt; sourcePort: number; token: number; acknowledges: number };

type Sent = { attempt: Attempt; token: number; sourcePort: number };
type Seen = Sighting & { by: Party };

const silenceMs = 300;
const patienceMs = 1_500;

/** Sends packets and holds what becomes of them against what the policy says. */
export class Trial {
  private readonly parties: readonly Party[];
  private readonly packets: Packets;
  private count = 0;

  constructor(ground: Ground, node: PolicyNode, packets: Packets) {
    this.packets = packets;
    this.parties = [
      ...node.devices.map(({ party }) => party),
      ...ground.sites.map(({ party }) => party),
      ground.container,
      ground.outside,
    ];
  }

  async run(attempts: readonly Attempt[], world: World): Promise<{ outcomes: Outcome[]; flows: Flow[] }> {
    const results = await this.twice(
      attempts.map((attempt) => this.numbered(attempt)),
      world,
      ({ attempt }) => this.numbered(attempt),
    );
    return { outcomes: results.flatMap(({ outcomes }) => outcomes), flows: flowsOf(results.filter(agreesWhole)) };
  }

  /** Those that nobody saw, of packets that nothing should stop. */
  async unseen(attempts: readonly Attempt[], world: World): Promise<string[]> {
    const results = await this.once(
      attempts.map((attempt) => this.numbered(attempt)),
      world,
      ({ arrived }) => arrived,
    );
    return results.flatMap(({ sent, arrived }) => (arrived ? [] : [JSON.stringify(sent.attempt.packet)]));
  }

  /** Packets of flows that were begun under an earlier document. */
  async goOn(flows: readonly Flow[], world: World): Promise<Outcome[]> {
    const sent = flows.map(({ attempt, token, sourcePort, acknowledges }) => ({
      attempt: this.packets.further(world, attempt, acknowledges),
      token,
      sourcePort,
    }));
    return (await this.twice(sent, world, (one) => one)).flatMap(({ outcomes }) => outcomes);
  }

  /**
   * All at once. What should have been seen and was not is sent once more, before it counts as a disagreement: a packet
   * may be lost for reasons that are nobody's policy. What was seen and should not have been counts at once.
   */
  private async twice(sent: readonly Sent[], world: World, anew: (sent: Sent) => Sent): Promise<Result[]> {
    const results = await this.once(sent, world);
    const lost = results.filter(isLost);
    if (lost.length === 0) return results;
    const again = await this.once(
      lost.map((one) => anew(one.sent)),
      world,
    );
    return [...results.filter((one) => !isLost(one)), ...again];
  }

  private numbered(attempt: Attempt): Sent {
    this.count += 1;
    const token = tokenOf(this.count);
    return { attempt, token, sourcePort: 10_000 + (this.count % 50_000) };
  }

  private async once(sent: readonly Sent[], world: World, asExpected = agreesWhole): Promise<Result[]> {
    const now = Date.now();
    await this.look();
    const bySender = Map.groupBy(sent, ({ attempt }) => attempt.from);
    await Promise.all(
      [...bySender].map(([party, all]) =>
        party.send(
          all.map(({ attempt, token, sourcePort }) => {
            const stray = attempt.packet.phase === 'stray' ? { acknowledges: token + 1 } : {};
            return { ...attempt.probe, ...stray, token, sourcePort };
          }),
        ),
      ),
    );
    const seen: Seen[] = [];
    const results = () => sent.map((one) => this.judge(one, seen, world, now));
    const start = performance.now();
    for (;;) {
      await Bun.sleep(50);
      seen.push(...(await this.look()));
      const elapsed = performance.now() - start;
      if (elapsed < silenceMs) continue;
      const judged = results();
      if (judged.every(asExpected) || elapsed > patienceMs) return judged;
    }
  }

  private async look(): Promise<Seen[]> {
    const all = await Promise.all(this.parties.map(async (by) => (await by.seen()).map((one) => ({ ...one, by }))));
    return all.flat();
  }

  private judge(sent: Sent, everything: readonly Seen[], world: World, now: number): Result {
    const { attempt, token } = sent;
    const { packet, probe, kinds } = attempt;
    const seen = everything.filter(
      (one) => one.token === token || (isMidstream(one) && one.sequence === probe.acknowledges),
    );
    const verdict = evaluate(world, packet, now);
    const passes = verdict.verdict !== 'denied';
    const expected = this.expected(attempt, verdict);
    const met = whatWasMet(attempt, seen);
    const silent = met.place === undefined && !met.reset;
    const outcomes: Outcome[] = [
      { kinds, allowed: passes, agrees: agree(expected, met), silent, told: told(sent, verdict, expected, met) },
    ];
    const answer = seen.find(({ form, by }) => by === attempt.from && (form === 'answer' || form === 'error'));
    if (passes && attempt.to instanceof Party && packet.phase === 'first' && packet.source !== packet.destination) {
      const phase = answerPhase(packet, attempt.to);
      const back = evaluate(world, { ...packet, phase }, now);
      const allowed = back.verdict !== 'denied';
      outcomes.push({
        kinds: ['answer'],
        allowed,
        agrees: allowed === (answer !== undefined),
        silent: answer === undefined,
        told: `the answer (${phase}) to: ${told(sent, back, expected, met)}`,
      });
    }
    return {
      sent,
      outcomes,
      arrived: met.place === attempt.to,
      acknowledges: passes && answer?.form === 'answer' ? (answer.sequence + 1) >>> 0 : undefined,
    };
  }

  private expected({ packet, to }: Attempt, verdict: Verdict): Expected {
    if (verdict.verdict === 'denied') return { place: undefined, reset: verdict.reset };
    if (to === 'node') {
      const backend = verdict.verdict === 'allowed' ? verdict.redirectedTo : undefined;
      if (backend === undefined) return { place: 'node', reset: false };
    }
    const [destination, masquerade] =
      verdict.verdict === 'allowed' ? [verdict.redirectedTo, verdict.masquerade] : [undefined, false];
    const device = destination === undefined ? undefined : this.packets.routeTo(destination);
    const out = device ?? (packet.to.kind === 'interface' ? packet.to.name : undefined);
    return {
      place: device === undefined ? to : this.packets.at({ kind: 'interface', name: device }, destination ?? ''),
      reset: false,
      destination: destination ?? (packet.to.kind === 'published' ? undefined : packet.destination),
      ...(packet.phase === 'first'
        ? { source: masquerade && out !== undefined ? this.packets.nodeAddressOn(out) : packet.source }
        : {}),
    };
  }
}

/** A reset that names no probe, only what it had acknowledged. */
const isMidstream = ({ form, token, sequence }: Sighting) => form === 'reset' && token === 0 && sequence !== 0;

type Result = { sent: Sent; outcomes: Outcome[]; arrived: boolean; acknowledges: number | undefined };

const isLost = ({ outcomes }: Result) =>
  outcomes.some(({ agrees }) => !agrees) && outcomes.every(({ agrees, silent }) => agrees || silent);
const agreesWhole = ({ outcomes }: Result) => outcomes.every(({ agrees }) => agrees);

/** Where a packet is to be seen: with whom, and with which addresses, where they are known. */
type Expected = { place: Attempt['to']; reset: boolean; source?: string | undefined; destination?: string | undefined };
type Met = { place: Attempt['to']; reset: boolean; source?: string; destination?: string };

/** A packet that reached the node itself shows in what comes back. */
function whatWasMet(attempt: Attempt, seen: readonly Seen[]): Met {
  const reset = seen.some(({ form }) => form === 'reset');
  const arrived = seen.find(({ form }) => form === 'packet');
  if (arrived !== undefined)
    return { place: arrived.by, reset, source: arrived.source, destination: arrived.destination };
  // The far side says its part again until it hears more: in midstream that says nothing of the packet.
  const midstream = attempt.packet.phase === 'further';
  const answered = !midstream && seen.some(({ form }) => form === 'answer' || form === 'error');
  return { place: answered ? 'node' : undefined, reset };
}

function agree(expected: Expected, met: Met): boolean {
  const same = (wanted: string | undefined, found: string | undefined) => wanted === undefined || wanted === found;
  return (
    expected.place === met.place &&
    // Where it arrived, a reset is what was there to say.
    (met.place !== undefined || expected.reset === met.reset) &&
    same(expected.source, met.source) &&
    same(expected.destination, met.destination)
  );
}

/** What a host that listens at every TCP port and every low UDP port gives back; others answer by their kernels. */
function answerPhase({ protocol, port }: Packet, { answersDatagrams }: Party): 'reply' | 'error' {
  if (protocol === 'other') return 'error';
  if (protocol !== 'udp') return 'reply';
  return port < 1_024 && answersDatagrams ? 'reply' : 'error';
}

function flowsOf(results: readonly Result[]): Flow[] {
  return results.flatMap(({ sent, acknowledges }) => {
    const { attempt, token, sourcePort } = sent;
    const { packet, to } = attempt;
    const goesOn = packet.protocol === 'tcp' && packet.from.kind === 'tunnel' && packet.to.kind === 'interface';
    if (!goesOn || to === 'node' || to === undefined || acknowledges === undefined) return [];
    return [{ attempt, token, sourcePort, acknowledges }];
  });
}

function told({ attempt }: Sent, verdict: Verdict, expected: Expected, met: Met): string {
  const named = ({ place, ...rest }: Expected | Met) => ({
    ...rest,
    place: place instanceof Party ? place.host.name : place,
  });
  return JSON.stringify({
    by: attempt.from.host.name,
    packet: attempt.packet,
    verdict,
    expected: named(expected),
    met: named(met),
  });
}
