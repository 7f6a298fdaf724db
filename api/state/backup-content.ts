import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A backup holds the whole state directory but for this: what is added later is in it without anybody thinking of it.
 * The keys of the node that runs beside the master are in it too: without them its devices would have to join anew.
 */
const leftOut: readonly { what: RegExp; because: string }[] = [
  { what: /^(?:logs|build|backups)\//, because: 'it says nothing that is needed, or is a backup itself' },
  {
    what: /^(?:setup\.lock|supervisor\.json|master\/serving\.lock)$/,
    because: 'it speaks of what runs on this machine now',
  },
  { what: /^agent\/(?:snapshot\.jws|bundles\.json|trust\.jws|high-water\.json)$/, because: 'the master gives it anew' },
  { what: /^agent\/(?:found\.json|.*\.sock)$/, because: 'it speaks of this machine alone' },
  { what: /^master\/postern\.db/, because: 'SQLite itself makes the copy; earlier schemas are not needed' },
  { what: /^[^/]+\.replaced-/, because: 'it was put aside by a restore' },
  { what: /(?:^|\/)\.|\.new$/, because: 'it is a draft' },
];

/** The paths of what belongs into a backup, below the state directory, but for the database. */
export function backedUpFiles(stateDir: string): string[] {
  return readdirSync(stateDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(stateDir.length + 1))
    .filter((path) => !leftOut.some(({ what }) => what.test(path)))
    .sort();
}
