import type { Lab } from './lab.ts';
import { tell } from './report.ts';

/** What a newcomer sees: from `ops/up` on a fresh node to a laptop that is inside. */
export async function runDemo(_lab: Lab): Promise<void> {
  tell('…');
}
