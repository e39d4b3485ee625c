import { mkdtemp, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { dropPageCache } from '../../system/native.ts';
import { run } from '../../system/processes.ts';
import { headerFile } from '../formats/view/backing-chain.ts';
import { readContainer } from '../formats/containers/read-container.ts';
import { writeGraph } from '../formats/view/block-graph.ts';
import { startView } from '../formats/view/view.ts';
import { fileDataExtents } from '../formats/raw/file-data-extents.ts';
import { openDirectAgain } from '../source/open-again.ts';
import type { TargetContent } from './target-content.ts';
import type { TargetPlace } from './place.ts';

type Place = Pick<TargetPlace, 'kind' | 'path'>;

/**
 * A qcow2 image: a view of it, which QEMU writes. A new file, and what an interrupted restore has left of one, becomes an empty image
 * first. Throws Failure `program-missing`, `target-exists` (what is there is no such image), and the system's errors.
 */
export async function qcow2Content(
  { kind, path }: Place,
  handle: FileHandle,
  imageBytes: number,
): Promise<TargetContent> {
  if (kind === 'block-device') throw qcow2OnDevice(path);
  const isImage = await holdsQcow2({ kind, path }, handle, imageBytes);
  if (!isImage) {
    await handle.truncate(0);
    await writeAll(handle, await emptyQcow2(imageBytes));
  }
  const containerDirect = await openDirectAgain(handle);
  const isDirect = containerDirect !== null;
  await containerDirect?.close();
  const view = await startView(writeGraph(handle.fd, isDirect), {
    writable: true,
    yieldsDisk: false,
    image: path,
  });
  try {
    const file = await open(view.path, 'r+');
    const direct = isDirect ? await openDirectAgain(file) : null;
    return {
      fd: file.fd,
      directFd: direct?.fd ?? null,
      readBackMethod: direct === null ? 'page-cache-dropped' : 'direct',
      dataExtents: () => fileDataExtents(path, file.fd, imageBytes),
      sync: () => file.datasync(),
      forgetCached(extents) {
        for (const { offset, length } of extents) dropPageCache(file.fd, offset, length);
        // The image's own clusters lie anywhere in its file.
        if (direct === null) dropPageCache(handle.fd, 0, 0);
      },
      async close() {
        await direct?.close();
        await file.close();
        await view[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await view[Symbol.asyncDispose]();
    throw error;
  }
}

export function qcow2OnDevice(path: string): Failure {
  return new Failure('usage', `${path} is a block device: qcow2 is written only to files.`, {
    advice: 'Write a raw image there: --format raw',
  });
}

/** Whether the file has a usable image of that size already. Throws Failure `target-exists` for anything else that is a person's. */
async function holdsQcow2({ kind, path }: Place, handle: FileHandle, imageBytes: number): Promise<boolean> {
  if (kind === 'new-file') return false;
  const stats = await handle.stat();
  try {
    const file = { namedPath: path, path, fd: handle.fd, stats };
    const { sizeBytes, backing, snapshotCount } = readContainer(headerFile(file), 'qcow2');
    if (sizeBytes === imageBytes && backing === null && snapshotCount === 0) return true;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // Written in part by an earlier restore: it is ours.
    if (kind === 'partial-file') return false;
  }
  throw new Failure(
    'target-exists',
    `${path} is no qcow2 image of ${imageBytes} bytes without backing file and snapshots.`,
    { advice: 'Restore to a new file. To overwrite a raw image in place, add: --format raw' },
  );
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await handle.write(bytes, done, undefined, done)).bytesWritten;
}

/** The bytes of an empty image: a few hundred KB, and the rest of the file is not there yet. */
async function emptyQcow2(imageBytes: number): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-qcow2-'));
  const path = join(directory, 'empty.qcow2');
  try {
    const args = ['create', '-q', '-f', 'qcow2', '-o', 'compat=1.1', path, String(imageBytes)];
    const { exitStatus, stderr } = await run('qemu-img', args, { env: { ...process.env, LC_ALL: 'C' } });
    if (exitStatus !== 0) throw new Failure('write-failed', `No qcow2 image can be made: ${stderr.trim()}.`);
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    throw new Failure(
      'program-missing',
      'The program qemu-img, which makes qcow2 images, is not installed.',
      {
        advice: 'On Debian and Ubuntu: apt-get install qemu-utils. Or write a raw image: --format raw',
        cause: error,
      },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
