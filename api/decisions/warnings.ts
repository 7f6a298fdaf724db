import type { MasterStatus } from '#contract/life.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';
import type { Warning } from '#contract/status.ts';

/** What warnings are made of. */
export type WarningFacts = {
  now: Date;
  keys: readonly { use: string; notAfter: string }[];
  certificate: { notBefore: Date; notAfter: Date };
  /** Tokens that run out soon. */
  tokens: readonly { id: string; name: string; email: string; expiresAt: string }[];
  version: Version;
  revisedAt: string;
  nodes: readonly {
    name: string;
    connected: boolean;
    applied: Version | null;
    problem: string | null;
    seenAt: string | null;
    healthy: boolean | null;
    reasons: readonly string[];
    vip: boolean | null;
  }[];
  webhooks: readonly { id: string; name: string; failures: number; disabledBecause: string | null }[];
  disk: { freeBytes: number; totalBytes: number } | undefined;
  master: Pick<MasterStatus, 'superseded' | 'life'>;
};

const dayMilliseconds = 86_400_000;
const keyDays = 60;
const lifeDays = 7;
export const tokenDays = 14;
/** Nodes follow within seconds; after this long something is in the way. */
const followMilliseconds = 60_000;
/** One failure is a restart of the receiver; the third comes half a minute later. */
const failingAfter = 3;
const leastFreeBytes = 512 * 1024 * 1024;

/** What somebody should do something about, the most urgent kinds first. */
export function warningsOf(facts: WarningFacts): Warning[] {
  return [
    ...ofMaster(facts),
    ...ofKeys(facts),
    ...ofCertificate(facts),
    ...ofDisk(facts),
    ...ofNodes(facts),
    ...ofActive(facts),
    ...ofWebhooks(facts),
    ...ofTokens(facts),
  ];
}

/** What a restore or a promotion lost is shown for a week: by then somebody has looked, or never will. */
function ofMaster({ master: { superseded, life }, now }: WarningFacts): Warning[] {
  const { at, node: subject } = superseded ?? { at: null, node: null };
  if (superseded !== null)
    return [
      { code: 'master-superseded', subject, at, message: `${subject} has seen a newer master: this one stands still.` },
    ];
  if (life === null || compareVersions(life.witnessed, life.from) === 0) return [];
  if (now.getTime() - Date.parse(life.beganAt) > lifeDays * dayMilliseconds) return [];
  const message = 'Changes after the copy that this epoch began with are lost. See: postern master status';
  return [{ code: 'changes-lost', subject: null, message, at: life.beganAt }];
}

function ofKeys({ keys, now }: WarningFacts): Warning[] {
  return keys
    .filter(({ notAfter }) => Date.parse(notAfter) - now.getTime() < keyDays * dayMilliseconds)
    .map(({ use, notAfter }) => ({
      code: 'key-ends',
      subject: use,
      message: `The key for ${use} ${endsOr(notAfter, now)}. Renew it on the master's machine: postern keys renew`,
      at: notAfter,
    }));
}

/** One that an authority gives for 90 days is renewed by itself long before; so a quarter of its life is the measure. */
function ofCertificate({ certificate: { notBefore, notAfter }, now }: WarningFacts): Warning[] {
  const life = notAfter.getTime() - notBefore.getTime();
  const left = notAfter.getTime() - now.getTime();
  if (left >= Math.min(keyDays * dayMilliseconds, life / 4)) return [];
  const at = notAfter.toISOString();
  const message = `The TLS certificate ${endsOr(at, now)}. Put another in its place, or see why none was ordered.`;
  return [{ code: 'certificate-ends', subject: null, message, at }];
}

function ofDisk({ disk }: WarningFacts): Warning[] {
  if (disk === undefined || disk.freeBytes >= Math.min(leastFreeBytes, disk.totalBytes / 10)) return [];
  const message = `The disk of the database has ${Math.floor(disk.freeBytes / 1024 / 1024)} MiB left. Make room.`;
  return [{ code: 'disk-nearly-full', subject: null, message, at: null }];
}

function ofNodes({ nodes, version, revisedAt, now }: WarningFacts): Warning[] {
  const isLate = now.getTime() - Date.parse(revisedAt) > followMilliseconds;
  return nodes.flatMap(({ name, connected, applied, problem, healthy, reasons, seenAt }): Warning[] => {
    const about = { subject: name, at: seenAt };
    if (!connected) return [{ ...about, code: 'node-gone', message: `The agent of ${name} is not connected.` }];
    if (problem !== null) return [{ ...about, code: 'node-problem', message: `${name} reports: ${problem}` }];
    if (healthy === false) {
      const why = reasons.length === 0 ? 'it does not say why' : reasons.join('; ');
      return [{ ...about, code: 'node-unhealthy', message: `${name} does not do its work: ${why}` }];
    }
    if (!isLate || !isBehind(applied, version)) return [];
    return [{ ...about, code: 'node-behind', message: `${name} has not put revision ${version.revision} in force.` }];
  });
}

/** Of several nodes one holds the address that moves. One that says nothing of it, or is away, is not counted. */
function ofActive({ nodes }: WarningFacts): Warning[] {
  const heard = nodes.filter(({ connected, vip }) => connected && vip !== null);
  const active = heard.filter(({ vip }) => vip === true).map(({ name }) => name);
  if (heard.length < 2 || active.length === 1) return [];
  const about = { subject: null, at: null };
  if (active.length === 0)
    return [{ ...about, code: 'no-active-node', message: 'No node holds the address that moves.' }];
  const message = `${active.join(' and ')} all hold the address that moves: they do not hear one another.`;
  return [{ ...about, code: 'several-active-nodes', message }];
}

/** Whether a node has something else in force than `version`. */
export function isBehind(applied: Version | null, version: Version): boolean {
  return applied?.epoch !== version.epoch || applied.revision < version.revision;
}

function ofWebhooks({ webhooks }: WarningFacts): Warning[] {
  return webhooks.flatMap(({ id, name, failures, disabledBecause }): Warning[] => {
    const about = { code: 'webhook-failing' as const, subject: id, at: null };
    if (disabledBecause !== null)
      return [{ ...about, message: `The receiver of the webhook ${name} wants no more (410): it is disabled.` }];
    if (failures < failingAfter) return [];
    return [
      { ...about, message: `The webhook ${name} failed ${failures} times. See: postern webhook deliveries ${id}` },
    ];
  });
}

function ofTokens({ tokens, now }: WarningFacts): Warning[] {
  return tokens.map(({ id, name, email, expiresAt }) => ({
    code: 'token-ends',
    subject: id,
    message: `The token ${name} of ${email} ${endsOr(expiresAt, now)}.`,
    at: expiresAt,
  }));
}

function endsOr(moment: string, now: Date): string {
  const days = Math.floor((Date.parse(moment) - now.getTime()) / dayMilliseconds);
  return days < 0 ? `has run out on ${moment}` : `runs out in ${days} days, on ${moment}`;
}
