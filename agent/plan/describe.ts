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
      return 'create the tunnel interface';
    case 'configure-wireguard':
      return `set the private key and listen port ${step.listenPort}`;
    case 'set-mtu':
      return `set the tunnel's MTU to ${step.mtu}`;
    case 'add-interface-address':
      return `give the tunnel the address ${step.address}`;
    case 'remove-interface-address':
      return `take the address ${step.address} from the tunnel`;
    case 'bring-up':
      return 'bring the tunnel up';
    case 'set-forwarding':
      return `switch forwarding ${step.enabled ? 'on' : 'off'} for packets from ${step.device}`;
    case 'pick-up-flows':
      return `${step.enabled ? 'take' : 'do not take'} TCP in midstream for a new flow`;
    case 'remove-peer':
      return `remove the peer ${step.publicKey}`;
    case 'set-peer':
      return `set the peer ${step.publicKey} with ${step.allowedIps.join(', ')}`;
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
