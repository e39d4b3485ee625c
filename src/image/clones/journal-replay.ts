import { fstatSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { cloneRange } from '../../system/native.ts';
import { run, type CommandResult } from '../../system/processes.ts';
import { createBeside, type FileBeside } from './clone.ts';
import { incompat } from '../file-systems/ext/features.ts';
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, hasExtMagic } from '../file-systems/ext/identity.ts';
import type { ImageSource } from '../source/image-source.ts';
import { openImage } from '../open-image.ts';
import { probeImage, type ImageRegion } from '../probe.ts';

/** An ordinary account's PATH leaves out where e2fsck is. */
function withSystemDirectories(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...environment, PATH: `${environment['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` };
}

/**
 * Replays the journals of the ext3 and ext4 file systems in a clone of an image, as their next mount would: then they
 * are clean, and say which of their blocks are free. Each is done apart, in a clone of the clone, so that one which
 * cannot be replayed stays as it was. Gives why, for each of those, as a clause. Throws the signal's reason when
 * aborted, and Failure `write-failed`.
 */
export async function replayJournals(
  clone: FileBeside,
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv = withSystemDirectories(process.env),
): Promise<string[]> {
  const problems: string[] = [];
  for (const region of await regionsToReplay(clone.path)) {
    const problem = await replayRegion(clone, region, environment, signal);
    if (problem !== null) problems.push(problem);
  }
  return problems;
}

async function regionsToReplay(path: string): Promise<ImageRegion[]> {
  await using image = await openImage(path);
  return probeImage(image).regions.filter((region) => hasJournalToReplay(image, region));
}

/** One that has recorded errors besides is not for us to repair. */
function hasJournalToReplay(image: ImageSource, { kind, clean, offset, length }: ImageRegion): boolean {
  if (clean !== false || (kind !== 'ext3' && kind !== 'ext4')) return false;
  if (length < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) return false;
  const bytes = image.read(offset + SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hasErrors = (fields.getUint16(0x3a, true) & 2) !== 0 || fields.getUint32(0x194, true) !== 0;
  return hasExtMagic(bytes) && !hasErrors && (fields.getUint32(0x60, true) & incompat.recover) !== 0;
}

async function replayRegion(
  clone: FileBeside,
  { offset, length }: ImageRegion,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string | null> {
  using part = createPart(clone.image);
  try {
    // e2fsck 1.47 loses its place when it replays a journal at an offset: the file system needs a file of its own.
    cloneRange({
      sourceFd: clone.fd,
      sourceOffset: offset,
      length,
      targetFd: part.fd,
      targetOffset: 0,
    });
  } catch (error) {
    if (errorCode(error) !== 'EINVAL') throw cannotWrite(part.path, error);
    return `its partition at byte ${offset} does not begin and end with a block of the disk below`;
  }
  const problem = await checkFileSystem(part.path, environment, signal);
  if (problem !== null) return problem;
  if (fstatSync(part.fd).size !== length || !(await isClean(part.path)))
    return 'e2fsck did not leave it clean';
  try {
    cloneRange({ sourceFd: part.fd, sourceOffset: 0, length, targetFd: clone.fd, targetOffset: offset });
  } catch (error) {
    throw cannotWrite(clone.path, error);
  }
  return null;
}

function createPart(beside: string): FileBeside {
  try {
    return createBeside(beside);
  } catch (error) {
    throw cannotWrite(beside, error);
  }
}

async function isClean(path: string): Promise<boolean> {
  await using image = await openImage(path);
  return probeImage(image).regions.every(({ clean }) => clean === true);
}

/**
 * `-p` without `-E journal_only`: the kernel keeps the totals of free blocks and inodes in the superblock up to date
 * only when it unmounts, and with `journal_only` they stay wrong. What it does besides is what a mount does, too
 * (files that were deleted while open), or a check that is due. Exit status of e2fsck(8): 1 is "errors corrected".
 */
async function checkFileSystem(
  path: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string | null> {
  let result: CommandResult;
  try {
    result = await run('e2fsck', ['-p', path], {
      env: { ...environment, LC_ALL: 'C' },
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (errorCode(error) === 'ENOENT') return 'the program e2fsck, which would replay it, is not installed';
    throw error;
  }
  if (result.exitStatus === 0 || result.exitStatus === 1) return null;
  return `e2fsck could not replay it (exit status ${result.exitStatus ?? 'none'})`;
}

function cannotWrite(path: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === '') return error;
  return new Failure('write-failed', `The clone ${path} could not be written to: ${code}.`, {
    advice: 'Make room on its file system.',
    cause: error,
  });
}
