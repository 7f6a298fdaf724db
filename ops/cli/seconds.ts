import { InvalidArgumentError } from 'commander';

/** A duration on the command line. */
export function readSeconds(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of seconds.');
  return Number(text);
}
