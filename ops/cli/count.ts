import { InvalidArgumentError } from 'commander';
import { largestPage } from '#contract/lists.ts';

/** How many rows, on the command line: what one page can hold. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,4}$/.test(text) || count < 1 || count > largestPage)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${largestPage}.`);
  return count;
}
