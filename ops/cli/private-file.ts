import { closeSync, openSync, rmSync, writeSync } from 'node:fs';

/**
 * Makes something once there is a private file for its secret, and puts that there. Never over another file: the secret
 * in it may be in use.
 */
export async function withPrivateFile<T>(
  path: string,
  make: () => Promise<T>,
  secretOf: (made: T) => string,
): Promise<T> {
  const file = openSync(path, 'wx', 0o600);
  try {
    const made = await make();
    writeSync(file, `${secretOf(made)}\n`);
    return made;
  } catch (error) {
    rmSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
}
