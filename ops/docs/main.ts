import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderApiErrors } from './api-errors.ts';

/** Writes the pages that are made from the source. */

writeFileSync(join(import.meta.dir, 'api-errors.md'), renderApiErrors());
