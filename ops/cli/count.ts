import { InvalidArgumentError } from 'commander';
import { largestPage } from '#contract/lists.ts';

/** How many rows, on the command line: what one page can hold. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,4}$/.test(text) || count < 1 || count > largestPage)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${largestPage}.`);
  return count;
}

/** The number of a document that was in force. */
export function readRevision(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be the number of a revision, such as 3.');
  return Number(text);
}
