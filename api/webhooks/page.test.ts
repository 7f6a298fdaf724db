import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeliveryProblem, EventType, testEventType } from '#contract/webhook.ts';
import { newSecrets, rotated, signedHeaders } from './secrets.ts';

/** ops/docs/webhooks.md: that it tells of all there is, and that its example works as it stands. */

const page = readFileSync(join(import.meta.dir, '../../ops/docs/webhooks.md'), 'utf8');
const [, example = ''] = /^```js\n([\s\S]*?)^```$/m.exec(page) ?? [];
const folder = mkdtempSync(join(tmpdir(), 'postern-example-'));
afterAll(() => rmSync(folder, { recursive: true }));

const firstCells = [...page.matchAll(/^\| (`[^|]*?) +\|/gm)].map(([, cell = '']) => cell.replaceAll('`', ''));

test('the page tells of every event and every problem', () => {
  const told = firstCells.flatMap((cell) => cell.split(', '));
  expect(told.sort()).toEqual([...EventType.options, testEventType, ...DeliveryProblem.options].sort());
});

describe('the example', async () => {
  const file = join(folder, 'example.mjs');
  writeFileSync(file, example);
  const { isOurs } = (await import(file)) as {
    isOurs: (secret: string, headers: Record<string, string>, body: string) => boolean;
  };
  const secrets = newSecrets();
  const next = rotated(secrets, new Date()).secrets;
  const body = '{"text":"Größe"}';
  const now = new Date();
  const late = new Date(now.getTime() - 400_000);

  test.each([
    ['believes what is ours', secrets.current, signedHeaders(secrets, 'evt_1', body, now), body, true],
    [
      'believes both secrets after a rotation (the former)',
      secrets.current,
      signedHeaders(next, 'evt_1', body, now),
      body,
      true,
    ],
    [
      'believes both secrets after a rotation (the new)',
      next.current,
      signedHeaders(next, 'evt_1', body, now),
      body,
      true,
    ],
    ['refuses another body', secrets.current, signedHeaders(secrets, 'evt_1', body, now), `${body} `, false],
    ['refuses another secret', newSecrets().current, signedHeaders(secrets, 'evt_1', body, now), body, false],
    [
      'refuses another id',
      secrets.current,
      { ...signedHeaders(secrets, 'evt_1', body, now), 'webhook-id': 'evt_2' },
      body,
      false,
    ],
    ['refuses what is old', secrets.current, signedHeaders(secrets, 'evt_1', body, late), body, false],
    [
      'refuses a later time on what is old',
      secrets.current,
      { ...signedHeaders(secrets, 'evt_1', body, late), 'webhook-timestamp': `${Math.floor(now.getTime() / 1000)}` },
      body,
      false,
    ],
    ['refuses what has no signature', secrets.current, {}, body, false],
  ])('%s', (_, secret, headers, text, isGood) => expect(isOurs(secret, headers, text)).toBe(isGood));
});
