import { intersection } from '#policies/meaning/region.ts';
import { chainNames, ownAddresses, type Plan, ruleWriter } from './chain-builder.ts';
import { accept, type Chain, drop, jump, type Match, originalPortMatches, portMatches, type Rule } from './firewall.ts';
import { leadingFronts } from './forward.ts';
import { hostRules } from './host.ts';

/**
 * Answers, where the document has any `until`: answers from a place that is granted for a time only are held against the
 * sets as well, the other way round. Without this a server that only sends would outlive the grant for as long as
 * nothing else ends the flow: the kernel closes the sets by itself, with the agent stopped and the master dead.
 */
export function replyChains(plan: Plan): Chain[] {
  const { timed, tunnel, sets } = plan;
  if (timed === undefined) return [];
  const rule = ruleWriter(plan);
  const chain = (name: string, rules: Rule[]): Chain => ({ family: 4, table: 'filter', name, rules });
  const toTimed = [...timed.regions].map(([device, region]) =>
    rule({ in: device, ...sets.placeMatch(region, 'src') }, jump(chainNames.replyTimed), 'granted for a time'),
  );
  return [
    chain(chainNames.reply, [
      rule({ states: ['DNAT'] }, jump(chainNames.replyRedirected), 'redirected'),
      ...(timed.devices ? [rule({ in: tunnel }, jump(chainNames.replyTimed), 'granted for a time')] : []),
      ...toTimed,
      rule({}, accept, 'answers'),
    ]),
    chain(chainNames.replyTimed, [...mirroredGrants(plan), rule({}, drop, 'nothing allows it any more')]),
    chain(chainNames.replyRedirected, redirectedReplies(plan)),
    chain(chainNames.replyHost, [...hostRules(plan, 'dst'), rule({}, drop, 'nothing allows it any more')]),
  ];
}

function mirroredGrants(plan: Plan): Rule[] {
  const { grants, sets, timed, tunnel } = plan;
  const rule = ruleWriter(plan);
  return grants.flatMap((grant) => {
    const { place, ports, lines } = grant;
    const from = (match: Match): Rule[] =>
      portMatches(ports, 'sourcePorts').map((port) =>
        rule({ ...match, ...port, sets: [sets.matchOf(grant, 'dst'), ...(match.sets ?? [])] }, accept, lines),
      );
    if (place.kind === 'devices') return timed?.devices ? from({ in: tunnel }) : [];
    if (place.kind !== 'network') return [];
    if (intersection(place.region, timed?.regions.get(place.device) ?? []).length === 0) return [];
    return from({ in: place.device, ...sets.placeMatch(place.region, 'src') });
  });
}

function redirectedReplies(plan: Plan): Rule[] {
  const { grants, sets, timed, world } = plan;
  const rule = ruleWriter(plan);
  const backends = grants.flatMap((grant) => {
    const { place, ports, lines } = grant;
    if (place.kind !== 'backend' || !timed?.services.has(place.service.name.value)) return [];
    const who = sets.matchOf(grant, 'dst');
    const front = world.frontAddresses.get(place.service.name.value);
    if (front === undefined) return [];
    const from = { source: `${place.service.address.value}/32`, originalDestination: front };
    return originalPortMatches(ports, true).map((match) => rule({ ...from, ...match, sets: [who] }, accept, lines));
  });
  const timedFronts = leadingFronts(plan).filter(({ service }) => timed?.services.has(service.name.value));
  return [
    ...backends,
    ...timedFronts.map(({ address }) => rule({ originalDestination: address }, drop, 'nothing allows it any more')),
    ...(timed?.nodes
      ? ownAddresses(plan).map((originalDestination) =>
          rule({ originalDestination }, jump(chainNames.replyHost), 'published by the node'),
        )
      : []),
    rule({}, accept, 'answers'),
  ];
}
