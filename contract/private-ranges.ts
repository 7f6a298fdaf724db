import { type Cidr, cidrRange, numberToIpv4 } from './network.ts';

/**
 * Parts of 10/8 that other software takes by default: Docker Swarm, Kubernetes (services, Flannel, k3s), Podman, and
 * the home routers that use the lowest and highest.
 */
const takenElsewhere: readonly Cidr[] = [
  '10.0.0.0/15',
  '10.10.0.0/16',
  '10.42.0.0/15',
  '10.88.0.0/15',
  '10.96.0.0/12',
  '10.244.0.0/16',
  '10.255.0.0/16',
];

/**
 * A random subnet of 10/8 that overlaps neither `taken` nor what other software takes by default. Random, because a
 * company's employees sit in networks that were numbered by the same habits as its own.
 *
 * @param random a number in [0, 1)
 * @returns undefined when nothing is free.
 */
export function choosePrivate(prefix: number, taken: readonly Cidr[], random: () => number): Cidr | undefined {
  const size = 2 ** (32 - prefix);
  const ten = 10 * 2 ** 24;
  const avoided = [...taken, ...takenElsewhere].map(cidrRange);
  // In numbers: there are 65,536 subnets of 24 bits.
  const free = Array.from({ length: 2 ** 24 / size }, (_, index) => ten + index * size).filter(
    (first) => !avoided.some((other) => first <= other.last && other.first < first + size),
  );
  const chosen = free[Math.floor(random() * free.length)];
  return chosen === undefined ? undefined : `${numberToIpv4(chosen)}/${prefix}`;
}
