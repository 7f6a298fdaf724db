import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Decrypter, Encrypter } from 'age-encryption';
import { extract, pack } from 'tar-stream';
import { syncFolder } from './files.ts';

/**
 * A backup is a tar archive encrypted with age (age-encryption.org/v1), so that its content can be had without us:
 * `age -d -i KEY FILE | tar t`. age authenticates every 64 KiB and the end: what is altered or cut short does not open.
 */

/** The file is no backup, is damaged, or was made for another key. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: 'unreadable' | 'wrong-key' | 'damaged' | 'newer';

  constructor(code: BackupError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export type Part = { path: string; bytes: number; from: string } | { path: string; text: string };

/** Writes the file with mode 0600, whole or not at all, and safe on the disk when this resolves. */
export async function writeBackupFile(out: string, parts: readonly Part[], recipient: string): Promise<void> {
  const archive = pack();
  const filling = fill(archive, parts).catch((error: Error) => void archive.destroy(error));
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const draft = `${out}.new`;
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      for await (const chunk of bytesOf(await encrypter.encrypt(streamOf(bytesOf(archive))))) await file.write(chunk);
      await filling;
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, out);
    syncFolder(dirname(out));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Both libraries have their streams typed more loosely than what they give. */
const bytesOf = (stream: object) => stream as AsyncIterable<Uint8Array<ArrayBuffer>>;

function streamOf(pieces: AsyncIterable<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
}

async function fill(archive: ReturnType<typeof pack>, parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    if ('text' in part) {
      archive.entry({ name: part.path, mode: 0o600 }, part.text);
      continue;
    }
    await pipeline(createReadStream(part.from), archive.entry({ name: part.path, mode: 0o600, size: part.bytes }));
  }
  archive.finalize();
}

/** What lies in the archive, one after the other; each must be read to its end before the next. */
export type Entry = { path: string; content: AsyncIterable<Uint8Array> };

/**
 * Reads through a backup. When this resolves, the file was whole and nothing in it was altered since it was made;
 * until then, nothing that `take` was given counts.
 *
 * @throws BackupError
 */
export async function readBackupFile(
  path: string,
  identity: string,
  take: (entry: Entry) => Promise<void>,
): Promise<void> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  let plain: AsyncIterable<Uint8Array>;
  try {
    plain = bytesOf(await decrypter.decrypt(Bun.file(path).stream()));
  } catch (cause) {
    throw notOpened(path, cause);
  }
  const archive = extract();
  const feeding = pipeline(plain, archive).catch((error: Error) => void archive.destroy(error));
  try {
    for await (const entry of archive) {
      if (entry.header.type !== 'file') throw new Error(`it holds a ${entry.header.type}`);
      await take({ path: entry.header.name, content: bytesOf(entry) });
    }
    await feeding;
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BackupError('damaged', `${path} is damaged or cut short (${why}). Use another backup.`, cause);
  }
}

function notOpened(path: string, cause: unknown): BackupError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string')
    return new BackupError('unreadable', `${path} cannot be read: ${why}`, cause);
  if (/no identity matched/.test(why))
    return new BackupError('wrong-key', `The recovery passphrase does not open ${path}.`, cause);
  return new BackupError('unreadable', `${path} is not a backup, or its beginning is damaged.`, cause);
}

export async function sha256OfFile(path: string): Promise<{ bytes: number; sha256: string }> {
  return sha256Of(createReadStream(path));
}

/** Reads to the end; `keep` gets every piece. */
export async function sha256Of(
  content: AsyncIterable<Uint8Array>,
  keep: (piece: Uint8Array) => void | Promise<void> = () => {},
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of content) {
    hash.update(piece);
    bytes += piece.length;
    await keep(piece);
  }
  return { bytes, sha256: hash.digest('hex') };
}
