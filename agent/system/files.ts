import { constants } from 'node:fs';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Replaces a file as a whole: after a crash there is the old text or the new, never half of one. Only the owner can
 * read it.
 */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  await writeFilesInOrder([{ path, text }]);
}

/**
 * Replaces several files of one directory, each as a whole. After a crash the new ones are the first of the list, as
 * far as it came: put first what must not be behind.
 */
export async function writeFilesInOrder(files: readonly { path: string; text: string }[]): Promise<void> {
  await Promise.all(files.map(({ path, text }) => writeTemporary(temporaryFor(path), text)));
  for (const { path } of files) await rename(temporaryFor(path), path);
  const [first] = files;
  if (first !== undefined) await syncDirectory(dirname(first.path));
}

const temporaryFor = (path: string) => `${path}.new`;

async function writeTemporary(path: string, text: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The text of a file, undefined when there is none. */
export async function readFileIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}
