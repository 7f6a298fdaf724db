import { describe, expect, test } from 'bun:test';
import { encodeProbe, probeBytes } from '#contract/probe.ts';
import { type Known, probeAnswer } from './responder.ts';

const known: Known = { node: 'n1', version: { epoch: 1, revision: 9 }, devices: [], bundles: [], healthy: true };
const asker = { publicKey: 'ANA', bundle: { publicKey: 'ANA', revision: 4, bundle: 'jws' } };
const answer = (message: string) => probeAnswer(Buffer.from(message), known, asker)?.toString();

describe('probeAnswer', () => {
  test('tells the node, its version and what the asker can fetch here', () =>
    expect(JSON.parse(answer(encodeProbe('0123456789abcdef')) ?? '')).toEqual({
      nonce: '0123456789abcdef',
      node: 'n1',
      epoch: 1,
      revision: 9,
      bundleRevision: 4,
      healthy: true,
    }));

  test('a device whose bundle is not here has revision 0', () =>
    expect(
      probeAnswer(Buffer.from(encodeProbe('0123456789abcdef')), known, { ...asker, bundle: undefined })?.toString(),
    ).toContain('"bundleRevision":0'));

  test.each([
    ['nothing', ''],
    ['another protocol', '\x01\x02\x03'],
    ['a hint', '{"hint":"probe"}'],
    ['a short question that would get a longer answer', '{"nonce":"0123456789abcdef"}'],
    ['a nonce of another form', JSON.stringify({ nonce: 'x'.repeat(16), pad: ' '.repeat(500) })],
    ['more than a probe', JSON.stringify({ nonce: '0123456789abcdef', pad: ' '.repeat(4 * probeBytes) })],
  ])('%s is not answered', (_, message) => expect(answer(message)).toBeUndefined());
});
