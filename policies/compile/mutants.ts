import {
  type Change,
  change,
  changeSet,
  inChain,
  isGrant,
  named,
  remove,
  reorder,
  wider,
  withoutMatch,
  withSets,
} from './firewall-changes.ts';

/**
 * Firewalls with one mistake in them, of the kind a compiler makes: a match left out, an order turned round, a set a
 * little too large. The property must notice each of them; one that it cannot notice tells nothing about the compiler.
 */
export interface Mutant {
  readonly name: string;
  readonly apply: Change;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'no gate by source',
    apply: change('all', inChain('POSTERN-FORWARD', named('the source is no device')), remove),
  },
  { name: 'no gate by destination', apply: change('all', named('the destination is no device'), remove) },
  {
    name: 'no gate at the node',
    apply: change('all', inChain('POSTERN-INPUT', named('the source is no device')), remove),
  },
  {
    name: 'the gate lets strangers in alone',
    apply: change(
      'all',
      named('the source is no device'),
      withSets((sets) => sets.map(({ name, side }) => ({ name, side }))),
    ),
  },
  { name: 'answers before the gate', apply: reorder('POSTERN-FORWARD', named('gate'), named('answers')) },
  {
    name: 'established in both directions',
    apply: change(
      'all',
      inChain('POSTERN-FORWARD', (rule) => rule.match.direction === 'REPLY' && rule.match.out !== undefined),
      withoutMatch('direction'),
    ),
  },
  { name: 'what nobody knows goes on', apply: change('all', named('no known flow'), remove) },
  {
    name: 'answers to flows from outside go on',
    apply: change('all', named('answers to flows begun outside'), remove),
  },
  {
    name: 'a grant to every device',
    apply: change(
      'one',
      isGrant,
      withSets((sets) => sets.filter(({ side }) => side === 'dst')),
    ),
  },
  {
    name: 'a grant to every address',
    apply: change(
      'one',
      (rule, chain) => isGrant(rule, chain) && (rule.match.sets ?? []).length > 1,
      withSets((sets) => sets.filter(({ side }) => side === 'src')),
    ),
  },
  {
    name: 'a grant the wrong way round',
    apply: change(
      'one',
      isGrant,
      withSets((sets) => sets.map((one) => ({ ...one, side: one.side === 'src' ? 'dst' : 'src' }))),
    ),
  },
  {
    name: 'a grant out of any interface',
    apply: change('one', inChain('POSTERN-FORWARD', isGrant), withoutMatch('out')),
  },
  {
    name: 'a grant on every port',
    apply: change(
      'one',
      (rule, chain) => isGrant(rule, chain) && rule.match.destinationPorts !== undefined,
      withoutMatch('destinationPorts'),
    ),
  },
  {
    name: 'ports one too wide',
    apply: change(
      'one',
      (rule, chain) => isGrant(rule, chain) && rule.match.destinationPorts !== undefined,
      (rule) => {
        const destinationPorts = wider(rule.match.destinationPorts);
        return destinationPorts === undefined ? rule : { ...rule, match: { ...rule.match, destinationPorts } };
      },
    ),
  },
  {
    name: 'a grant for any protocol',
    apply: change(
      'one',
      (rule, chain) => isGrant(rule, chain) && rule.match.protocol !== undefined,
      withoutMatch('protocol', 'icmpType'),
    ),
  },
  { name: 'any icmp message', apply: change('all', (rule) => rule.match.icmpType === 8, withoutMatch('icmpType')) },
  { name: 'a grant is lost', apply: change('one', isGrant, remove) },
  {
    name: 'a device is lost',
    apply: changeSet(
      ({ type, elements }) => type === 'hash:ip' && elements.length > 0,
      (set) => ({ ...set, elements: set.elements.slice(1) }),
    ),
  },
  {
    name: 'a stranger in a set',
    apply: changeSet(
      ({ name, type }) => type === 'hash:ip' && /-[rp]\d+$/.test(name),
      (set) => ({
        ...set,
        elements: Array.from({ length: 8 }, (_, i) => ({ element: `10.91.65.${i + 1}` })),
      }),
    ),
  },
  {
    name: 'holes in a network are forgotten',
    apply: changeSet(
      ({ type, elements }) => type === 'hash:net' && elements.length > 3,
      (set) => ({ ...set, elements: [{ element: '10.1.0.0/16' }] }),
    ),
  },
  {
    name: 'a role is left out of a list',
    apply: changeSet(
      ({ type }) => type === 'list:set',
      (set) => ({ ...set, elements: set.elements.slice(1) }),
    ),
  },
  {
    name: 'until is forgotten',
    apply: (firewall) => ({
      ...firewall,
      sets: firewall.sets.map((set) => ({ ...set, elements: set.elements.map(({ element }) => ({ element })) })),
    }),
  },
  {
    name: "the front's address opens the rest of the node",
    apply: change(
      'all',
      inChain('POSTERN-FRONT', ({ target }) => target.kind === 'jump'),
      remove,
    ),
  },
  {
    name: 'one front opens all',
    apply: change(
      'one',
      inChain('POSTERN-FRONT', isGrant),
      withSets((sets) => sets.filter(({ side }) => side === 'src')),
    ),
  },
  { name: 'fronts answer outside the tunnel', apply: change('all', named('fronts are for the tunnel alone'), remove) },
  {
    name: 'Docker answers on a front',
    apply: change(
      'all',
      inChain('POSTERN-PREROUTING', ({ target }) => target.kind === 'ACCEPT'),
      remove,
    ),
  },
  { name: 'a front does not lead on', apply: change('one', ({ target }) => target.kind === 'DNAT', remove) },
  {
    name: 'a front leads elsewhere',
    apply: change(
      'one',
      ({ target }) => target.kind === 'DNAT',
      (rule) => ({ ...rule, target: { kind: 'DNAT', to: '10.1.0.77' } }),
    ),
  },
  {
    name: 'redirected flows are judged by where they went',
    apply: change('all', inChain('POSTERN-FORWARD', named('redirected')), remove),
  },
  {
    name: 'a published port at every address',
    apply: change(
      'all',
      inChain('POSTERN-REDIRECTED', named('published by the node')),
      withoutMatch('originalDestination'),
    ),
  },
  {
    name: 'the plumbing is every port',
    apply: change('one', inChain('POSTERN-HOST', named('plumbing')), withoutMatch('originalPort')),
  },
  {
    name: 'answers outlive a grant',
    apply: change('all', inChain('POSTERN-REPLY', named('granted for a time')), remove),
  },
  {
    name: 'redirected answers outlive a grant',
    apply: change('all', inChain('POSTERN-REPLY', named('redirected')), (rule) => ({
      ...rule,
      target: { kind: 'ACCEPT' },
    })),
  },
  { name: 'no reset', apply: change('all', ({ target }) => target.kind === 'RESET', remove) },
  {
    name: 'a reset for who only knocks',
    apply: change('all', ({ target }) => target.kind === 'RESET', withoutMatch('tcp')),
  },
  {
    name: 'nothing refuses at the end',
    apply: change(
      'all',
      inChain('POSTERN-FORWARD', (rule) => rule.match.in === 'wg0' && Object.keys(rule.match).length === 1),
      remove,
    ),
  },
  {
    name: 'outside may begin',
    apply: change('all', named('flows begun outside'), (rule) => (rule.target.kind === 'DROP' ? undefined : rule)),
  },
  {
    name: 'everything is masqueraded',
    apply: change('all', ({ target }) => target.kind === 'MASQUERADE', withoutMatch('out', 'sets')),
  },
  { name: 'nothing is masqueraded', apply: change('all', ({ target }) => target.kind === 'MASQUERADE', remove) },
  {
    name: 'a vpn-only port is closed on every interface',
    apply: change(
      'one',
      (rule) => rule.target.kind === 'DROP' && rule.comment.includes('vpn-only'),
      withoutMatch('in'),
    ),
  },
  {
    name: 'a vpn-only port stays open',
    apply: change(
      'one',
      inChain('POSTERN-PUBLIC', ({ target }) => target.kind === 'DROP'),
      remove,
    ),
  },
  {
    name: 'a published vpn-only port stays open',
    apply: change('all', inChain('POSTERN-FORWARD', named('vpn-only')), remove),
  },
  {
    name: 'vpn-only closes what passes by',
    apply: change('all', inChain('POSTERN-FORWARD', named('vpn-only')), withoutMatch('states', 'originalPort')),
  },
  { name: 'IPv6 in the tunnel', apply: change('all', named('no IPv6'), remove) },
  {
    name: 'vpn-only is for IPv4 alone',
    apply: change('all', (rule, chain) => chain.family === 6 && rule.comment.includes('vpn-only'), remove),
  },
];
