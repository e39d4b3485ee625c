import { closeSync, ftruncateSync, openSync, read, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Context } from '../../../events.ts';
import { intersect, totalLength, type Extent } from '../../../extent/extents.ts';
import { Failure } from '../../../failure.ts';
import { formatBytes } from '../../../figures.ts';
import { saysWithoutReflinks } from '../../../image/clones/without-reflinks.ts';
import type { ImageTarget } from '../../../image/target/image-target.ts';
import { writeFailureOf } from '../../../image/target/target-failures.ts';
import { here, placed } from '../../../placed-text.ts';
import { cloneRange, copyNoCopyOnWrite } from '../../../system/native.ts';
import { writeSparsely } from '../../../workers/sparse-write.ts';

const STEP_BYTES = 2 ** 20;
const readInto = promisify(read);

/** A raw copy of an incomplete image's disk, to be written to; removed when disposed of. */
export interface RehearsalCopy extends Disposable {
  path: string;
}

/**
 * Makes a raw copy of an incomplete image's disk beside it: a clone, or, where the file system has no reflinks or the image is not raw, a
 * sparse copy. Throws Failure `target-full` if there is no room for that.
 * @param onCopied bytes that were copied since the last call
 */
export async function copyForRehearsal(
  target: ImageTarget,
  onCopied: (bytes: number) => void,
  { signal }: Pick<Context, 'signal'>,
): Promise<RehearsalCopy> {
  const path = rehearsalPath(target.workingPath);
  let fd: number | null = null;
  try {
    fd = openSync(path, 'wx', 0o600);
    // It has no lock: User Mode Linux would not open it. The name is ours, because the incomplete image is locked.
    // Of a qcow2 image this is the view, which nothing can clone.
    if (!cloneWhole(target.fd, fd)) await copySparsely(target, fd, onCopied, signal);
  } catch (error) {
    if (fd !== null) removeLeftCopy(target.workingPath);
    signal.throwIfAborted();
    throw writeFailureOf(error, path);
  } finally {
    if (fd !== null) closeSync(fd);
  }
  return { path, [Symbol.dispose]: () => removeLeftCopy(target.workingPath) };
}

/** Removes the copy of an incomplete image, also that of a receiver that was killed. The caller has to have the image locked. */
export function removeLeftCopy(partial: string): void {
  rmSync(rehearsalPath(partial), { force: true });
}

/** Where the copy of an incomplete image is. */
export function rehearsalPath(partial: string): string {
  return join(dirname(partial), `.${basename(partial)}.rehearsal`);
}

/** False where the file system has no reflinks. Throws the system's errors. */
function cloneWhole(sourceFd: number, targetFd: number): boolean {
  copyNoCopyOnWrite(sourceFd, targetFd);
  try {
    cloneRange({ sourceFd, sourceOffset: 0, length: 0, targetFd, targetOffset: 0 });
    return true;
  } catch (error) {
    if (saysWithoutReflinks(error)) return false;
    throw error;
  }
}

async function copySparsely(
  target: ImageTarget,
  fd: number,
  onCopied: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const extents = [...intersect(target.dataExtents(), [{ offset: 0, length: target.imageBytes }])];
  await refuseFull(target, totalLength(extents));
  ftruncateSync(fd, target.imageBytes);
  for (const { offset, length } of stepsOf(extents)) {
    signal.throwIfAborted();
    const { buffer, bytesRead } = await readInto(target.fd, Buffer.allocUnsafe(length), 0, length, offset);
    writeSparsely({ fd, directFd: null, zeros: 'left-out' }, buffer.subarray(0, bytesRead), offset);
    onCopied(bytesRead);
  }
}

function* stepsOf(extents: Iterable<Extent>): Generator<Extent> {
  for (const { offset, length } of extents)
    for (let done = 0; done < length; done += STEP_BYTES)
      yield { offset: offset + done, length: Math.min(STEP_BYTES, length - done) };
}

async function refuseFull({ workingPath }: ImageTarget, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(workingPath);
  if (bavail * bsize > neededBytes) return;
  throw new Failure(
    'target-full',
    placed`A rehearsal copies ${workingPath} ${here}, because its file system has no reflinks, or it is not raw: ${formatBytes(neededBytes)} are needed, and ${formatBytes(bavail * bsize)} are free.`,
    {
      advice: 'Make room there, or choose a directory on XFS or btrfs with --to HOST:DIR, and --format raw.',
    },
  );
}
