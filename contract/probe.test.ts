import { expect, test } from 'bun:test';
import * as v from 'valibot';
import { encodeProbe, ProbeAnswer, ProbeRequest, probeBytes } from './probe.ts';

test('a probe is a readable request of the full size', () => {
  const text = encodeProbe('0123456789abcdef');
  expect(Buffer.byteLength(text)).toBe(probeBytes);
  expect(v.parse(ProbeRequest, JSON.parse(text))).toEqual({ nonce: '0123456789abcdef' });
});

test('the longest answer is no longer than a probe', () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const answer: ProbeAnswer = {
    nonce: '0123456789abcdef',
    node: 'n'.repeat(20),
    epoch: largest,
    revision: largest,
    bundleRevision: largest,
    healthy: false,
  };
  expect(v.is(ProbeAnswer, answer)).toBe(true);
  expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(probeBytes);
});
