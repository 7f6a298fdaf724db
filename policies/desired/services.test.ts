import { describe, expect, test } from 'bun:test';
import { sampleRoster, worldOf } from '#policies/meaning/fixture/sample-world.ts';
import { desiredNames } from './names.ts';
import { desiredSites } from './sites.ts';

const lines = [
  'network internal = 172.19.0.0/16 via n1 dev br-internal',
  'service gitlab = 172.19.0.10 tcp/443, tcp/22 name gitlab.corp.internal front https preset gitlab',
  'service vault  = 172.19.0.11 tcp/8080        name vault.corp.internal  front https',
  'service wiki   = 172.19.0.12 tcp/80 name wiki.example.com',
  'service dns    = 172.19.0.53 tcp/53, udp/53',
];
const dns = { domain: 'corp.internal', upstreams: [] };
const nodes = sampleRoster.nodes.map((node) => ({ ...node, publicKey: '', endpoints: [], priority: 1 }));
const namesOf = (more: readonly string[], around = {}) => {
  const found = desiredNames({ nodes, vip: '10.91.64.1', dns, ...around }, worldOf([...lines, ...more]));
  return Object.fromEntries(found.map(({ name, address }) => [name, address]));
};

describe('names', () => {
  test('a front for a service that has one, else its backend; nodes and the address that moves', () =>
    expect(namesOf([])).toEqual({
      'gitlab.corp.internal': '10.91.127.1',
      'n1.corp.internal': '10.91.64.2',
      'n2.corp.internal': '10.91.64.3',
      'vault.corp.internal': '10.91.127.2',
      'vpn.corp.internal': '10.91.64.1',
      'wiki.example.com': '172.19.0.12',
    }));

  test('what the document names comes before a node of that name', () =>
    expect(namesOf(['service own = 172.19.0.60 tcp/80 name n1.corp.internal'])).toMatchObject({
      'n1.corp.internal': '172.19.0.60',
    }));

  test('a front that has no address yet has no name', () =>
    expect(namesOf(['service new = 172.19.0.60 tcp/80 name new.corp.internal front https'])).not.toHaveProperty([
      'new.corp.internal',
    ]));

  test('without an internal domain there are none', () => expect(namesOf([], { dns: undefined })).toEqual({}));
});

test('sites know their backend and how to speak to it', () =>
  expect(desiredSites(worldOf(lines))).toEqual([
    {
      service: 'gitlab',
      dnsName: 'gitlab.corp.internal',
      frontAddress: '10.91.127.1',
      backend: { scheme: 'https', address: '172.19.0.10', port: 443 },
      preset: 'gitlab',
    },
    {
      service: 'vault',
      dnsName: 'vault.corp.internal',
      frontAddress: '10.91.127.2',
      backend: { scheme: 'http', address: '172.19.0.11', port: 8080 },
      preset: undefined,
    },
  ]));
