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
`;
    expect(parseIpsetSave(text).map(({ name, type, entries }) => ({ name, type, entries }))).toEqual([
      { name: 'postern-members', type: 'hash:ip', entries: ['10.91.1.1', '10.91.1.2'] },
      { name: 'theirs', type: 'hash:ip,port', entries: ['192.0.2.1,tcp:22 timeout 12'] },
      { name: 'all', type: 'list:set', entries: ['theirs'] },
    ]);
  });

  test.each([
    ['a message of the program', 'ipset v7.17: Kernel error received: Operation not permitted'],
    ['an entry of no set', 'add postern-members 10.91.1.1'],
  ])('%s is an error, not an empty list', (_, text) => expect(() => parseIpsetSave(text)).toThrow(SyntaxError));
});

test('every change can be made twice', () =>
  expect(
    renderIpsetRestore([
      { kind: 'create-set', set: 'postern-r-admin' },
      { kind: 'remove-address', set: 'postern-r-admin', entry: '10.91.1.1' },
      { kind: 'add-address', set: 'postern-r-admin', address: '10.91.1.2' },
      { kind: 'destroy-set', set: 'postern-r-old' },
    ]),
  ).toBe(`create postern-r-admin hash:ip family inet maxelem 1048576 -exist
del postern-r-admin 10.91.1.1 -exist
add postern-r-admin 10.91.1.2 -exist
destroy postern-r-old
`));
