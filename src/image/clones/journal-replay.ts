import { fstatSync } from 'node:fs';
import type { Extent } from '../../extent/extents.ts';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { cloneRange } from '../../system/native.ts';
import { run, type CommandResult } from '../../system/processes.ts';
import { createBeside, type FileBeside } from './clone.ts';
import { hasJournalToReplay } from '../file-systems/ext/journal.ts';
import { openImage } from '../open-image.ts';
import { contentsOf, probeImage, type Content } from '../probe.ts';
import { volumeReader } from '../volume-group.ts';

/** The PATH of an ordinary account lacks the directories where e2fsck is. */
function withSystemDirectories(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...environment, PATH: `${environment['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` };
}

/**
 * Replays the journals of the ext3 and ext4 file systems in a clone of an image, as a mount would. Then they are clean,
 * and their free blocks are known. Works on a clone of each file system, so that a failed replay leaves it unchanged.
 * Returns, for each failed replay, the reason as a clause. Throws the signal's reason when aborted, and Failure
 * `write-failed`.
 */
export async function replayJournals(
  clone: FileBeside,
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv = withSystemDirectories(process.env),
): Promise<string[]> {
  const problems: string[] = [];
  for (const content of await contentsToReplay(clone.path)) {
    const problem = await replayContent(clone, content, environment, signal);
    if (problem !== null) problems.push(problem);
  }
  return problems;
}

async function contentsToReplay(path: string): Promise<Content[]> {
  await using image = await openImage(path);
  return contentsOf(probeImage(image)).filter(
    ({ kind, clean, pieces, length }) =>
      clean === false &&
      (kind === 'ext3' || kind === 'ext4') &&
      hasJournalToReplay(volumeReader(image, pieces), length),
  );
}

async function replayContent(
  clone: FileBeside,
  { pieces, length }: Content,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string | null> {
  using part = createPart(clone.image);
  try {
    // e2fsck 1.47 cannot replay a journal at an offset in a file: the file system needs a file of its own.
    for (const { at, offset, length: bytes } of placed(pieces))
      cloneRange({
        sourceFd: clone.fd,
        sourceOffset: offset,
        length: bytes,
        targetFd: part.fd,
        targetOffset: at,
      });
  } catch (error) {
    if (errorCode(error) !== 'EINVAL') throw cannotWrite(part.path, error);
    return `its partition at byte ${pieces[0]?.offset ?? 0} is not aligned to the blocks of the disk below`;
  }
  const problem = await checkFileSystem(part.path, environment, signal);
  if (problem !== null) return problem;
  if (fstatSync(part.fd).size !== length || !(await isClean(part.path)))
    return 'e2fsck did not leave it clean';
  try {
    for (const { at, offset, length: bytes } of placed(pieces))
      cloneRange({
        sourceFd: part.fd,
        sourceOffset: at,
        length: bytes,
        targetFd: clone.fd,
        targetOffset: offset,
      });
  } catch (error) {
    throw cannotWrite(clone.path, error);
  }
  return null;
}

/** The pieces with their places in the whole. */
function placed(pieces: readonly Extent[]): (Extent & { at: number })[] {
  let end = 0;
  return pieces.map((piece) => {
    const at = end;
    end += piece.length;
    return { ...piece, at };
  });
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
 * Runs `e2fsck -p`. Not with `-E journal_only`: the kernel updates the totals of free blocks and inodes in the
 * superblock only at an unmount, and `journal_only` leaves them wrong. Its other work is also done by a mount (removing
 * files that were deleted while open), or is a check that was due. Exit status 1 of e2fsck(8) means "errors corrected".
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
  return new Failure('write-failed', `The clone ${path} could not be written: ${code}.`, {
    advice: 'Make room on its file system.',
    cause: error,
  });
}
