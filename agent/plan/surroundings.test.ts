import { describe, expect, test } from 'bun:test';
import { hasOurs, type Surroundings, troubleAround } from './surroundings.ts';

const rules = '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -j DROP\nCOMMIT\n';
const none = '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n';
const around = (change: Partial<Surroundings> = {}): Surroundings => ({
  kind: 'nf_tables',
  saved: { legacy: '', nf_tables: rules },
  firewalld: undefined,
  ...change,
});
const firewalld = 'table inet firewalld {\n\tchain filter_FORWARD_ZONES {\n\t\tgoto filter_FWD_public\n\t}\n}';

describe('troubleAround', () => {
  test.each([
    ['one kind of iptables', around(), []],
    ['tables of the other kind, without rules', around({ saved: { legacy: none, nf_tables: rules } }), []],
    [
      'rules of the older kind beside ours',
      around({ saved: { legacy: rules, nf_tables: rules } }),
      [
        /firewall rules of iptables-legacy \(2\) beside those of iptables-nft \(2\), which is in use.*iptables-legacy-save \| iptables-nft-restore/,
      ],
    ],
    [
      'rules of the newer kind beside ours',
      around({ kind: 'legacy', saved: { legacy: none, nf_tables: rules } }),
      [
        /firewall rules of iptables-nft \(2\) beside those of iptables-legacy \(0\).*iptables-nft-save \| iptables-legacy-restore/,
      ],
    ],
    ['firewalld that refuses the tunnel', around({ firewalld }), [/firewall-cmd .*--add-interface=wg0 /]],
    [
      'firewalld that trusts the tunnel',
      around({ firewalld: firewalld.replace('goto', 'iifname "wg0" goto filter_FWD_trusted\n\t\tgoto') }),
      [],
    ],
    [
      'firewalld that trusts another tunnel',
      around({ firewalld: firewalld.replace('goto', 'iifname "wg01" goto filter_FWD_trusted\n\t\tgoto') }),
      [/--add-interface=wg0 /],
    ],
  ] as const)('%s', (_, surroundings, expected) => {
    const told = troubleAround(surroundings, 'wg0');
    expect(told).toEqual(expected.map((words) => expect.stringMatching(words)));
  });
});

test('our rules count where they are of the kind in use', () => {
  const ours = ':POSTERN-INPUT - [0:0]\n';
  expect(hasOurs(around({ saved: { legacy: '', nf_tables: ours } }))).toBe(true);
  expect(hasOurs(around({ saved: { legacy: ours, nf_tables: '' } }))).toBe(false);
  expect(hasOurs(around({ saved: { legacy: '', nf_tables: ':POSTERN-PROBE - [0:0]\n' } }))).toBe(false);
});
