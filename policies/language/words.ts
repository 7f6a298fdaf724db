import { editDistance } from './suggest.ts';

/** The words that begin a statement. */
export const keywords = ['role', 'network', 'service', 'allow', 'vpn-only', 'test'] as const;
export type Keyword = (typeof keywords)[number];

/** Words with a meaning of their own: no role, network or service may be called so. */
export const reservedWords: ReadonlySet<string> = new Set([
  ...keywords,
  'includes',
  'via',
  'dev',
  'nat',
  'no-nat',
  'name',
  'front',
  'preset',
  'http',
  'https',
  'until',
  'on',
  'force',
  'allowed',
  'denied',
  'everyone',
  'anyone',
  'nobody',
  'devices',
  'device',
  'nodes',
  'node',
  'user',
  'tcp',
  'udp',
  'icmp',
  'any',
  'all',
  'deny',
]);

/** The keyword a person meant, when it is near. */
export function closestKeyword(written: string): Keyword | undefined {
  const lower = written.toLowerCase();
  return keywords.find((keyword) => editDistance(keyword, lower) <= (keyword.length > 4 ? 2 : 1)) ?? habits.get(lower);
}

/** What people write who know other tools. */
const habits: ReadonlyMap<string, Keyword> = new Map([
  ['group', 'role'],
  ['grant', 'allow'],
  ['permit', 'allow'],
  ['accept', 'allow'],
  ['subnet', 'network'],
  ['host', 'service'],
  ['vpnonly', 'vpn-only'],
  ['assert', 'test'],
  ['expect', 'test'],
]);
