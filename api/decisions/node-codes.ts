import type { NodeCode } from '#contract/node-enrolment.ts';

/** What is known of a node's code when a machine presents it. Moments are RFC 3339 text: they compare as text. */
export type NodeCodeFacts = {
  readonly expiresAt: string;
  readonly spentAt: string | null;
  readonly withdrawnAt: string | null;
  /** The keys of the machine that spent it. */
  readonly spentBy: NodeKeys | null;
  /** Whether that machine is still a node. */
  readonly isNode: boolean;
};

export type NodeKeys = { readonly publicKey: string; readonly agentKey: string };

export type NodeRedemption =
  | { readonly kind: 'join' }
  /** The answer got lost: the same machine gets it once more. */
  | { readonly kind: 'repeat' }
  | {
      readonly kind: 'refuse';
      readonly reason: 'code-used' | 'code-expired';
      readonly detail: string;
      /** Somebody else holds a real code: its admin should know. */
      readonly alert?: true;
    };

/** open → spent. Nothing leads back. */
export function nodeCodeState(code: Omit<NodeCodeFacts, 'isNode' | 'spentBy'>, now: Date): NodeCode['state'] {
  if (code.spentAt !== null) return 'spent';
  if (code.withdrawnAt !== null) return 'withdrawn';
  return code.expiresAt <= now.toISOString() ? 'expired' : 'open';
}

/** May the machine with these keys become the node of this code, or hear once more that it is? */
export function redeemNodeCode(code: NodeCodeFacts, keys: NodeKeys, now: Date): NodeRedemption {
  switch (nodeCodeState(code, now)) {
    case 'open':
      return { kind: 'join' };
    case 'spent':
      if (code.spentBy?.publicKey !== keys.publicKey || code.spentBy.agentKey !== keys.agentKey) return usedByAnother;
      return code.isNode ? { kind: 'repeat' } : removed;
    case 'withdrawn':
      return withdrawn;
    case 'expired':
      return expired;
  }
}

const usedByAnother = {
  kind: 'refuse',
  reason: 'code-used',
  detail: 'Another machine has used this code. If that was not you, remove that node; make a new code.',
  alert: true,
} as const;

const removed = {
  kind: 'refuse',
  reason: 'code-used',
  detail: 'The node that used this code was removed. Make a new code.',
} as const;

const withdrawn = {
  kind: 'refuse',
  reason: 'code-expired',
  detail: 'This code was withdrawn. Make a new one.',
} as const;
const expired = { kind: 'refuse', reason: 'code-expired', detail: 'Make a new code: postern node add.' } as const;
