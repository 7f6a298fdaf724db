import type { EventType } from '#contract/webhook.ts';

/** Something that webhooks are told of: an act of the audit log, or what the master saw of its nodes. */
export type Event = {
  type: EventType;
  actor: string;
  subject: string;
  detail: Readonly<Record<string, unknown>>;
};

type Row = { actor: string; act: string; subject: string; detail: Readonly<Record<string, unknown>> };

const ofAct: Readonly<Record<string, EventType>> = {
  'device.enrol': 'device.joined',
  'device.revoke': 'device.revoked',
  'device.leave': 'device.left',
  'device.expire': 'device.expired',
  'user.add': 'user.added',
  'user.change': 'user.changed',
  'user.remove': 'user.removed',
  'code.second-key': 'code.misused',
  'network.add': 'network.added',
  'network.remove': 'network.removed',
  'policy.put': 'policy.changed',
  'policy.rollback': 'policy.changed',
  'policy.run-out': 'policy.changed',
  'grant.add': 'policy.changed',
  'grant.remove': 'policy.changed',
  'service.add': 'policy.changed',
  'service.remove': 'policy.changed',
  'port.close': 'policy.changed',
  'port.open': 'policy.changed',
  'node.add': 'node.added',
  'node.change': 'node.changed',
  'node.remove': 'node.removed',
  'token.add': 'token.added',
  'token.revoke': 'token.revoked',
  'master.restore': 'master.restored',
  'master.promote': 'master.promoted',
  'master.superseded': 'master.superseded',
};

/** The event that an act is, if it is one. */
export function eventOf({ actor, act, subject, detail }: Row): Event | undefined {
  const type = ofAct[act];
  if (type === undefined) return undefined;
  const own = type === 'user.changed' && isDisabling(detail) ? 'user.disabled' : type;
  return { type: own, actor, subject, detail: { ...detail, act } };
}

function isDisabling({ disabled, was }: Row['detail']): boolean {
  return disabled === true && (was as { disabled?: boolean } | undefined)?.disabled === false;
}
