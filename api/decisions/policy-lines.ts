import type { NewNetwork } from '#contract/admin.ts';
import { cidrsOverlap } from '#contract/network.ts';
import type { NewClosedPorts, NewService } from '#contract/places.ts';
import type { FieldError } from '#contract/problem.ts';
import type { Outline } from '#policies/desired/outline.ts';
import { readName } from '#policies/language/values.ts';
import type { Result } from './result.ts';
import { roleProblem } from './roles.ts';

/**
 * The lines of a policy that say what an admin asked for. What is wrong with a field is said of the field; what is wrong
 * with the document as a whole is found when that is checked.
 */

export function networkLines(
  wanted: NewNetwork,
  outline: Outline,
  around: { readonly pool: string; readonly nodes: readonly string[] },
): Result<string[]> {
  const { name, cidr, gateways, nat = true, roles = [] } = wanted;
  const errors = [
    ...nameErrors(name),
    ...(cidrsOverlap(cidr, around.pool) ? [{ path: 'cidr', message: `overlaps the pool ${around.pool}` }] : []),
    ...gateways.flatMap(({ node }, index) => {
      const path = `gateways.${index}.node`;
      if (!around.nodes.includes(node)) return [{ path, message: 'is not a node' }];
      const earlier = gateways.findIndex((gateway) => gateway.node === node);
      return earlier < index ? [{ path, message: 'is named twice' }] : [];
    }),
    ...roleErrors(roles, outline),
  ];
  if (errors.length > 0) return { ok: false, reason: 'invalid-input', errors };
  const ways = gateways.map(({ node, device }) => `${node} dev ${device}`).join(', ');
  return { ok: true, value: [`network ${name} = ${cidr} via ${ways}${nat ? '' : ' no-nat'}`, ...grants(roles, name)] };
}

export function serviceLines(wanted: NewService, outline: Outline): Result<string[]> {
  const { name, address, ports, dnsName, front, preset, roles = [] } = wanted;
  const errors = [
    ...nameErrors(name),
    ...(front !== undefined && dnsName === undefined
      ? [{ path: 'dnsName', message: 'is missing: a front answers by name' }]
      : []),
    ...(preset !== undefined && front === undefined
      ? [{ path: 'front', message: 'is missing: a preset says what a front is like' }]
      : []),
    ...roleErrors(roles, outline),
  ];
  if (errors.length > 0) return { ok: false, reason: 'invalid-input', errors };
  const words = [
    `service ${name} = ${address} ${ports.join(', ')}`,
    ...(dnsName === undefined ? [] : [`name ${dnsName}`]),
    ...(front === undefined ? [] : [`front ${front}`]),
    ...(preset === undefined ? [] : [`preset ${preset}`]),
  ];
  return { ok: true, value: [words.join(' '), ...grants(roles, name)] };
}

/** Ports that are closed there already are left out; none is left when all are. */
export function closedPortLines({ node, device, ports, force = false }: NewClosedPorts, outline: Outline): string[] {
  const closed = outline.closedPorts.filter((one) => one.node === node && one.device === device);
  const open = [...new Set(ports)].filter((port) => !closed.some((one) => one.port === port));
  return open.length === 0 ? [] : [`vpn-only ${open.join(', ')} on ${node} dev ${device}${force ? ' force' : ''}`];
}

function grants(roles: readonly string[], name: string): string[] {
  return roles.length === 0 ? [] : [`allow ${[...new Set(roles)].join(', ')} -> ${name}`];
}

function nameErrors(name: string): FieldError[] {
  return readName(name, 'place').ok ? [] : [{ path: 'name', message: 'is a word of the policy itself' }];
}

function roleErrors(roles: readonly string[], outline: Outline): FieldError[] {
  return roles.flatMap((role, index) => roleProblem(outline, role, `roles.${index}`) ?? []);
}
