import { describe, expect, test } from 'bun:test';
import { Alarm } from './alarm.ts';

/** Looks 100 ms apart, at what passed in between and by how much the wall clock ran ahead. @returns what was raised, when. */
function raised(
  looks: readonly { sent?: number; received?: number; aheadMs?: number; lateMs?: number }[],
  isSilent = false,
) {
  const alarm = new Alarm();
  const found: string[] = [];
  let [sent, received, monotonic, wall] = [0, 0, 0, 1_700_000_000_000];
  for (const look of [{}, ...looks]) {
    const { sent: out = 0, received: back = 0, aheadMs = 0, lateMs = 0 } = look as (typeof looks)[number];
    sent += out;
    received += back;
    monotonic += 100 + lateMs;
    wall += 100 + lateMs + aheadMs;
    const note = (what: string) => () => void found.push(`${what} ${monotonic}`);
    const node = { roundTripMs: 1, isSilent };
    alarm.look({ sent, received }, { wall, monotonic }, node, { onSuspicion: note('suspicion'), onWake: note('wake') });
    if (found.at(-1) === `suspicion ${monotonic}`) alarm.asked();
  }
  return { found, alarm, monotonic };
}

describe('the alarm is raised', () => {
  test.each([
    ['by silence', [{ sent: 5 }, { sent: 5 }, { sent: 5 }], ['suspicion 400']],
    ['not by an exchange', [{ sent: 5, received: 5 }, { sent: 5 }, { sent: 5, received: 1 }, { sent: 5 }], []],
    ['by a sleep', [{ aheadMs: 60_000 }, {}], ['wake 200']],
    ['by a machine that stood still', [{ lateMs: 5_000 }, {}], ['wake 5200']],
    ['not by a clock that is put right a little', [{ aheadMs: -500 }, { aheadMs: 1_500 }], []],
  ])('%s', (_, looks, expected) => expect(raised(looks).found).toEqual(expected));

  test('by what comes from a node that was silent, and by nothing else', () =>
    expect(raised([{ sent: 9 }, { sent: 9 }, { sent: 9 }, { sent: 9, received: 1 }], true).found).toEqual([
      'suspicion 500',
    ]));
});

test('it rests when nothing has passed for a while', () => {
  const idle = raised(Array.from({ length: 30 }, () => ({})));
  expect(idle.alarm.isResting(idle.monotonic)).toBe(true);
  const busy = raised([...Array.from({ length: 30 }, () => ({})), { sent: 1 }]);
  expect(busy.alarm.isResting(busy.monotonic)).toBe(false);
});
