import { describe, expect, test } from 'bun:test';
import { answersQuestion, renderQuestion } from './dns-question.ts';

test('a question is what RFC 1035 says', () =>
  expect(renderQuestion(0x1234, 'n1.corp').toString('hex')).toBe('123401000001000000000000026e3104636f72700000010001'));

describe('an answer', () => {
  const answer = (id: number, flags: number) => {
    const message = renderQuestion(id, 'n1.corp');
    message.writeUInt16BE(flags, 2);
    return message;
  };
  test.each([
    ['with an address', answer(7, 0x8580), true],
    ['that there is no such name', answer(7, 0x8583), true],
    ['that it is refused', answer(7, 0x8185), false],
    ['that it failed', answer(7, 0x8182), false],
    ['to another question', answer(8, 0x8580), false],
    ['that is a question', answer(7, 0x0100), false],
    ['of a few bytes', Buffer.from([0, 7, 0x85]), false],
  ])('%s', (_, message, expected) => expect(answersQuestion(message, 7)).toBe(expected));
});
