import { describe, expect, test } from 'bun:test';
import { EventType } from '#contract/webhook.ts';
import { eventOf } from './webhook-events.ts';

const row = (act: string, detail: Record<string, unknown> = {}) => ({ actor: 'user ana', act, subject: 'x', detail });

describe('eventOf', () => {
  test.each([
    ['device.enrol', {}, 'device.joined'],
    ['device.revoke', {}, 'device.revoked'],
    ['code.second-key', {}, 'code.misused'],
    ['grant.add', {}, 'policy.changed'],
    ['user.change', { disabled: true, was: { disabled: false } }, 'user.disabled'],
    ['user.change', { disabled: true, was: { disabled: true } }, 'user.changed'],
    ['user.change', { disabled: false, was: { disabled: true } }, 'user.changed'],
    ['code.add', {}, undefined],
    ['node.drift', {}, undefined],
    ['webhook.add', {}, undefined],
  ])('%s %p is %s', (act, detail, type) => expect<string | undefined>(eventOf(row(act, detail))?.type).toBe(type));

  test('carries who did what to whom', () => {
    expect(eventOf(row('device.revoke', { name: 'laptop' }))).toEqual({
      type: 'device.revoked',
      actor: 'user ana',
      subject: 'x',
      detail: { name: 'laptop', act: 'device.revoke' },
    });
  });

  test('has words that webhooks can be told of', () => {
    for (const act of ['device.leave', 'device.expire', 'master.restore', 'token.revoke'])
      expect(EventType.options).toContain(eventOf(row(act))?.type as EventType);
  });
});
