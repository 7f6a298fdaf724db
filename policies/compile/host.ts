import { placeInMesh } from '#policies/meaning/world.ts';
import { chainNames, ownAddresses, type Plan, ruleWriter } from './chain-builder.ts';
import { accept, type Chain, drop, jump, originalPortMatches, portMatches, type Rule } from './firewall.ts';
import { inMidstream } from './forward.ts';
import { meshHostRules } from './mesh.ts';

/** Traffic to the node itself: from the tunnel by the same order as through it, and the ports closed to the public. */
export function inputChains(plan: Plan): Chain[] {
  const { tunnel, mesh, sets, world, node } = plan;
  const rule = ruleWriter(plan);
  const place = placeInMesh(world, node);
  const rules: Rule[] = [
    rule({ in: tunnel, sets: [{ name: sets.members, side: 'src', not: true }] }, drop, 'gate: the source is no device'),
    rule({ in: tunnel, states: ['RELATED', 'ESTABLISHED'], direction: 'REPLY' }, accept, 'answers to the node'),
    rule({ in: tunnel, states: ['INVALID', 'UNTRACKED'] }, jump(chainNames.refuse), 'no known flow'),
    rule({ in: tunnel, ...inMidstream }, jump(chainNames.refuse), 'no flow begins in midstream'),
    rule({ in: tunnel, sets: [{ name: sets.fronts, side: 'dst' }] }, jump(chainNames.front), 'fronts'),
    rule({ in: tunnel }, jump(chainNames.host), 'the node itself'),
    rule({ in: tunnel }, jump(chainNames.refuse), 'nothing allows it'),
    rule({ in: mesh }, jump(chainNames.meshHost), 'other nodes'),
    rule({ notIn: 'lo', sets: [{ name: sets.fronts, side: 'dst' }] }, drop, 'fronts are for the tunnel alone'),
    ...ownAddresses(plan).map((address) =>
      rule({ destination: `${address}/32`, notIn: 'lo' }, drop, 'the tunnel address is for the tunnel alone'),
    ),
    ...(place === undefined
      ? []
      : [rule({ destination: `${place.address}/32`, notIn: 'lo' }, drop, 'the mesh address is for the mesh alone')]),
    rule({}, jump(chainNames.public), 'vpn-only'),
  ];
  const chain = (name: string, chainRules: Rule[]): Chain => ({ family: 4, table: 'filter', name, rules: chainRules });
  return [
    chain(chainNames.input, rules),
    chain(chainNames.host, hostRules(plan, 'src')),
    chain(chainNames.front, frontRules(plan)),
    chain(chainNames.meshHost, meshHostRules(plan)),
    chain(chainNames.public, publicRules(plan)),
  ];
}

/**
 * What the node itself offers: the plumbing and vpn-only ports to every device, the rest by grant. By the port a flow was
 * begun with, so that it also serves flows that Docker redirected to a container. `dst`: for what comes back.
 */
export function hostRules(plan: Plan, side: 'src' | 'dst'): Rule[] {
  const { world, node, grants, sets } = plan;
  const rule = ruleWriter(plan);
  const reply = side === 'dst';
  return [
    ...world.plumbing
      .filter((one) => (one.node ?? node) === node)
      .flatMap(({ port, name }) =>
        originalPortMatches([port], reply).map((match) => rule(match, accept, `plumbing: ${name}`)),
      ),
    ...world.vpnOnly
      .filter((statement) => statement.node.value === node)
      .flatMap(({ ports, line }) =>
        originalPortMatches(
          ports.map(({ value }) => value),
          reply,
        ).map((match) => rule(match, accept, [line])),
      ),
    ...grants.flatMap((grant) => {
      if (grant.place.kind !== 'nodes') return [];
      const who = sets.matchOf(grant, side);
      return originalPortMatches(grant.ports, reply).map((match) =>
        rule({ ...match, sets: [who] }, accept, grant.lines),
      );
    }),
  ];
}

/** Each front is granted by its own address; nothing else of the node answers there. */
function frontRules(plan: Plan): Rule[] {
  const { grants, sets } = plan;
  const rule = ruleWriter(plan);
  const granted = grants.flatMap((grant) => {
    const { place, ports, lines } = grant;
    if (place.kind !== 'front') return [];
    const there = { name: sets.frontSet(place.services), side: 'dst' } as const;
    return portMatches(ports).map((match) => rule({ ...match, sets: [sets.matchOf(grant), there] }, accept, lines));
  });
  return [...granted, rule({}, jump(chainNames.refuse), 'nothing allows it')];
}

/**
 * Ports that are closed on a public interface. Matched by the packet's own port, so that it also holds where the kernel
 * tracks nothing; what comes back to the node from outside may happen to use the same number, and passes.
 */
export function publicRules(plan: Plan): Rule[] {
  const { world, node, tunnel } = plan;
  const rule = ruleWriter(plan);
  const closed = world.vpnOnly
    .filter((statement) => statement.node.value === node && statement.device.value !== tunnel)
    .flatMap(({ device, ports, line }) =>
      portMatches(ports.map(({ value }) => value)).map((match) =>
        rule({ in: device.value, ...match }, drop, `vpn-only, line ${line}`),
      ),
    );
  if (closed.length === 0) return [];
  const answers = rule(
    { states: ['RELATED', 'ESTABLISHED'], direction: 'REPLY' },
    { kind: 'RETURN' },
    'answers to the node',
  );
  return [answers, ...closed];
}
