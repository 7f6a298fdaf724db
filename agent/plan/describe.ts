import type { Step } from './node.ts';

/** A step in words, for `plan` and for the drift that is reported. Never longer than a report's line may be. */
export function describeStep(step: Step): string {
  return sentence(step).slice(0, 300);
}

function sentence(step: Step): string {
  switch (step.kind) {
    case 'create-set':
      return `create the set ${step.set}`;
    case 'destroy-set':
      return `destroy the set ${step.set}`;
    case 'add-element':
      return `add ${step.element} to ${step.set}${step.until === undefined ? '' : ` until ${new Date(step.until).toISOString()}`}`;
    case 'remove-element':
      return `remove ${step.element} from ${step.set}`;
    case 'restore-rules':
      return `${step.family} rules: ${step.changes.map(describeChange).join('; ')}`;
    case 'create-interface':
      return `create the interface ${step.on}`;
    case 'remove-interface':
      return `remove the interface ${step.on}`;
    case 'configure-wireguard':
      return `set the private key and listen port ${step.listenPort} of ${step.on}`;
    case 'set-mtu':
      return `set the MTU of ${step.on} to ${step.mtu}`;
    case 'add-interface-address':
      return `give ${step.on} the address ${step.address}`;
    case 'remove-interface-address':
      return `take the address ${step.address} from ${step.on}`;
    case 'bring-up':
      return `bring ${step.on} up`;
    case 'add-route':
      return `lead ${step.cidr} to ${step.on}`;
    case 'remove-route':
      return `lead ${step.cidr} to ${step.on} no more`;
    case 'set-forwarding':
      return `switch forwarding ${step.enabled ? 'on' : 'off'} for packets from ${step.device}`;
    case 'pick-up-flows':
      return `${step.enabled ? 'take' : 'do not take'} TCP in midstream for a new flow`;
    case 'remove-peer':
      return `remove the peer ${step.publicKey} from ${step.on}`;
    case 'set-peer':
      return `set the peer ${step.publicKey} of ${step.on} with ${step.allowedIps.join(', ')}`;
  }
}

function describeChange(change: Extract<Step, { kind: 'restore-rules' }>['changes'][number]): string {
  return [
    ...change.chains.map(({ name, rules }) => `write ${name} (${rules.length} rules)`),
    ...change.jumps.map(({ hook, chain }) => `put the jump to ${chain} first in ${hook}`),
    ...change.deletions.map(({ chain, rule }) => `delete "${rule}" from ${chain}`),
    ...change.removedChains.map((name) => `remove ${name}`),
  ].join(', ');
}
