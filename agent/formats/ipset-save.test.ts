import { describe, expect, test } from 'bun:test';
import { parseIpsetSave, renderIpsetRestore } from './ipset-save.ts';

describe('parseIpsetSave', () => {
  test('reads sets of any kind', () => {
    const text = `create postern-members hash:ip family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x3ccb7dea
add postern-members 10.91.1.1
add postern-members 10.91.1.2
create theirs hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 60
add theirs 192.0.2.1,tcp:22 timeout 12
create all list:set size 8
add all theirs
create timed hash:ip family inet hashsize 1024 maxelem 65536 timeout 0 bucketsize 12 initval 0x1
add timed 10.91.1.1 timeout 0
add timed 10.91.1.2 timeout 7
`;
    const read = parseIpsetSave(text).map(({ name, type, elements }) => ({ name, type, elements: [...elements] }));
    expect(read).toEqual([
      {
        name: 'postern-members',
        type: 'hash:ip',
        elements: [
          ['10.91.1.1', undefined],
          ['10.91.1.2', undefined],
        ],
      },
      { name: 'theirs', type: 'hash:ip,port', elements: [['192.0.2.1,tcp:22', 12]] },
      { name: 'all', type: 'list:set', elements: [['theirs', undefined]] },
      {
        name: 'timed',
        type: 'hash:ip',
        elements: [
          ['10.91.1.1', undefined],
          ['10.91.1.2', 7],
        ],
      },
    ]);
  });

  test.each([
    ['a message of the program', 'ipset v7.17: Kernel error received: Operation not permitted'],
    ['an entry of no set', 'add postern-members 10.91.1.1'],
  ])('%s is an error, not an empty list', (_, text) => expect(() => parseIpsetSave(text)).toThrow(SyntaxError));
});

test('every change can be made twice, and what is over is not put in', () => {
  const definition = 'hash:ip family inet maxelem 1048576';
  const seconds = (until: number) => (until < 2_000 ? undefined : Math.floor(until / 1000));
  const text = renderIpsetRestore(
    [
      { kind: 'create-set', set: 'postern-1-r1', definition },
      { kind: 'remove-element', set: 'postern-1-r1', element: '10.91.1.1' },
      { kind: 'add-element', set: 'postern-1-r1', element: '10.91.1.2' },
      { kind: 'add-element', set: 'postern-1-p2', element: '10.91.1.3', until: 7_900 },
      { kind: 'add-element', set: 'postern-1-p2', element: '10.91.1.4', until: 1_900 },
      { kind: 'destroy-set', set: 'postern-r-old' },
    ],
    seconds,
  );
  expect(text).toBe(`create postern-1-r1 hash:ip family inet maxelem 1048576 -exist
del postern-1-r1 10.91.1.1 -exist
add postern-1-r1 10.91.1.2 -exist
add postern-1-p2 10.91.1.3 timeout 7 -exist
destroy postern-r-old
`);
});
