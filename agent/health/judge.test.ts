import { describe, expect, test } from 'bun:test';
import { type Findings, judge } from './judge.ts';

const well: Findings = {
  isInForce: true,
  forwarding: [
    { device: 'wg0', isOn: true },
    { device: 'br-a', isOn: true },
  ],
  links: [{ device: 'br-a', isThere: true }],
  answering: [{ name: 'nginx', isWell: true }],
  networks: [{ name: 'a', isReachable: true, isCertain: true, gateways: ['n1', 'n2'] }],
  others: [{ node: 'n2', healthy: true }],
};
const lost: Findings['networks'] = [{ name: 'a', isReachable: false, isCertain: true, gateways: ['n1', 'n2'] }];

const rows: [string, Partial<Findings>, readonly string[]][] = [
  ['a node that does all it should', {}, []],
  ['one that asked nothing yet', { answering: [{ name: 'nginx', isWell: undefined }] }, []],
  ['rules that are not in force', { isInForce: false }, ['the rules and peers of its snapshot are not in force']],
  [
    'no forwarding from the tunnel',
    { forwarding: [{ device: 'wg0', isOn: false }] },
    ['packets from wg0 are not forwarded'],
  ],
  ['no interface', { links: [{ device: 'br-a', isThere: false }] }, ['the interface br-a is gone']],
  ['no answer', { answering: [{ name: 'nginx', isWell: false }] }, ['nginx does not answer']],
  ['a network that another node reaches', { networks: lost }, ['a is out of reach, and n2 reaches it']],
  [
    'a network that nobody reaches',
    { networks: lost, others: [{ node: 'n2', healthy: true, unreachable: ['a'] }] },
    [],
  ],
  ['a network that only an unhealthy node reaches', { networks: lost, others: [{ node: 'n2', healthy: false }] }, []],
  ['a network that the other does not lead to', { networks: lost, others: [{ node: 'n3', healthy: true }] }, []],
  ['a network that was lost just now', { networks: lost.map((one) => ({ ...one, isCertain: false })) }, []],
  ['a network, with nobody to be heard', { networks: lost, others: [] }, []],
];

describe('judge', () => {
  test.each(rows)('%s', (_, change, reasons) => {
    const verdict = judge({ ...well, ...change });
    expect(verdict).toEqual({
      healthy: reasons.length === 0,
      reasons,
      unreachable: change.networks === undefined ? [] : ['a'],
    });
  });
});
