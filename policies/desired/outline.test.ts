import { describe, expect, test } from 'bun:test';
import { sampleLines, sampleWorld, worldOf } from '#policies/meaning/fixture/sample-world.ts';
import { Bundles } from './bundle.ts';
import { indexed, linesNaming, nextEnd, outlineOf, rolesThatReach } from './outline.ts';

const outline = outlineOf(sampleWorld().document);
const place = (name: string, of = outline) => {
  const found = [...of.networks, ...of.services].find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe('an outline', () => {
  test('survives JSON', () => expect(JSON.parse(JSON.stringify(outline))).toEqual(outline));

  test('knows roles with all they include, places, closed ports, people and ends', () => {
    expect(outline.roles[1]).toEqual({ name: 'admin', includes: ['admin', 'developer'] });
    expect(place('internal')).toMatchObject({ cidr: '172.19.0.0/16', nat: true, line: 4 });
    expect(place('vault')).toMatchObject({ ports: ['tcp/8080'], front: 'https', dnsName: 'vault.corp.internal' });
    expect(outline.closedPorts).toEqual([{ node: 'n1', device: 'eno1', port: 'tcp/5432', line: 16 }]);
    expect(outline.people).toEqual(['alice@example.com']);
    const end = Date.UTC(2026, 11, 1);
    expect([nextEnd(outline, end - 1), nextEnd(outline, end)]).toEqual([end, undefined]);
  });

  test('names the lines that a node cannot go before', () =>
    expect([linesNaming(outline, 'n1'), linesNaming(outline, 'n2'), linesNaming(outline, 'n3')]).toEqual([
      [4, 5, 6, 16],
      [4],
      [],
    ]));

  test('knows the roles that reach a place as a whole, now', () => {
    const more = outlineOf(
      worldOf([...sampleLines, 'allow guest -> 172.19.6.0/24', 'allow guest -> sandbox until 2026-12-01']).document,
    );
    const before = rolesThatReach(more, Date.UTC(2026, 10, 1));
    const after = rolesThatReach(more, Date.UTC(2026, 11, 5));
    expect(before(place('internal', more))).toEqual(['admin']);
    expect(before(place('gitlab', more))).toEqual(['developer', 'admin']);
    expect(before(place('dns', more))).toEqual(['developer', 'admin', 'guest']);
    expect(before(place('sandbox', more))).toEqual(['guest']);
    expect(after(place('sandbox', more))).toEqual([]);
  });

  test('of names that mean something to the language it is written in is one like others', () => {
    const odd = indexed(outlineOf(worldOf(['role constructor', 'allow constructor -> devices']).document));
    const around = { pool: '10.91.64.0/18', nodes: [], fronts: [] };
    const bundles = new Bundles(odd, around, 0);
    const of = (role: string) => bundles.networkPartsOf({ name: 'laptop' }, { email: 'a@example.com', role }).shared;
    expect([of('constructor').length, of('valueof').length]).toEqual([1, 0]);
  });
});
