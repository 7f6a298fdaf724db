import { describe, expect, test } from 'bun:test';
import { sampleLines, sampleRoster, worldOf } from '#policies/meaning/fixture/sample-world.ts';
import { addressInMesh, desiredMesh } from './mesh.ts';

const world = worldOf([...sampleLines, 'network shared = 10.5.0.0/16 via n1 dev eth5, n2 dev eth5']);
const node = (name: string, place: number, priority: number) => ({
  name,
  publicKey: `${name} key`,
  endpoints: [],
  tunnelAddress: `10.91.64.${place + 1}`,
  priority,
  mesh: { publicKey: `${name} mesh`, address: `10.77.0.${place}`, endpoints: [`198.51.100.${place}:51821`] },
});
const nodes = [node('n1', 1, 100), node('n2', 2, 200), node('n3', 3, 300)];
const mesh = { cidr: '10.77.0.0/24', advertMilliseconds: 200 };
const of = (name: string, unfit: string[] = [], roster = nodes) =>
  desiredMesh({ nodes: roster, mesh }, world, name, new Set(unfit));
const through = (...given: Parameters<typeof of>) =>
  Object.fromEntries((of(...given)?.peers ?? []).map(({ name, allowedIps }) => [name, allowedIps.slice(1)]));

describe('desiredMesh', () => {
  test('networks go through the most preferred node that leads there', () => {
    expect(sampleRoster.nodes).toHaveLength(2);
    expect(through('n3')).toEqual({
      n1: ['172.19.7.0/24', '172.17.0.0/16'],
      n2: ['172.19.0.0/16', '10.5.0.0/16'],
    });
  });
  test('what a node leads to itself goes through no other', () =>
    expect(through('n2')).toEqual({ n1: ['172.19.7.0/24', '172.17.0.0/16'], n3: [] }));
  test('one that is silent is gone round, where another leads there', () =>
    expect(through('n3', ['n2'])).toEqual({
      n1: ['172.19.0.0/16', '172.19.7.0/24', '172.17.0.0/16', '10.5.0.0/16'],
      n2: [],
    }));
  test('one that does not reach a network is gone round for that', () =>
    expect(through('n3', ['n2 shared']).n1).toContain('10.5.0.0/16'));
  test('where none is fit, it stays with the most preferred', () =>
    expect(through('n3', ['n1', 'n2'])).toEqual(through('n3')));
  test('each peer has its own address, and the kernel leads to what is behind others', () => {
    expect(of('n3')?.peers.map(({ allowedIps }) => allowedIps[0])).toEqual(['10.77.0.1/32', '10.77.0.2/32']);
    expect(of('n2')?.routes).toEqual(['172.19.7.0/24', '172.17.0.0/16']);
    expect(addressInMesh({ address: '10.77.0.3', cidr: mesh.cidr })).toBe('10.77.0.3/24');
  });
  test('a node without a place there is alone, and nobody goes through it', () => {
    const [n1, n2, n3] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
    const { mesh: _, ...alone } = n2;
    expect(of('n2', [], [n1, alone as never, n3])).toBeUndefined();
    expect(through('n3', [], [n1, alone as never, n3])).toEqual({
      n1: ['172.19.0.0/16', '172.19.7.0/24', '172.17.0.0/16', '10.5.0.0/16'],
    });
  });
});
