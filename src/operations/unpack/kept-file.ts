import { randomBytes } from 'node:crypto';
import { readSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeFailureOf } from '../../image/target/target-failures.ts';
import { newFilePlace } from '../../image/target/place.ts';
import { requireRoom } from '../../image/target/target-place.ts';
import { isDirectory } from './disk-target.ts';

const HEAD_BYTES = 8;

/** A file of an archive that is kept while it is read. Disposing removes it. */
export interface KeptFile extends AsyncDisposable {
  path: string;
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Its first bytes. */
  head(): Buffer;
}

/**
 * Throws Failure `target-full`, `target-missing` or `target-not-writable`.
 * @param to where the disk goes: its file is kept beside it, or for a device in the directory for temporary files
 */
export async function keptFile(to: string, name: string, sizeBytes: number): Promise<KeptFile> {
  const directory = (await isDirectory(to)) ? to : to.startsWith('/dev/') ? tmpdir() : dirname(to);
  const path = join(directory, `.${randomBytes(8).toString('hex')}.${name.slice(-40)}.partial`);
  await requireRoom([{ place: newFilePlace(path, sizeBytes), neededBytes: sizeBytes }]);
  const file = await open(path, 'wx+', 0o600).catch((error: unknown) => {
    throw writeFailureOf(error, path);
  });
  return {
    path,
    async write(bytes, offset) {
      try {
        for (let done = 0; done < bytes.length;)
          done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      } catch (error) {
        throw writeFailureOf(error, path);
      }
    },
    head() {
      const head = Buffer.alloc(HEAD_BYTES);
      return head.subarray(0, readSync(file.fd, head, 0, HEAD_BYTES, 0));
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}
