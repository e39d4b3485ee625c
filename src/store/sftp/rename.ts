import { pause } from '../../pipeline/polling.ts';
import type { FileFacts } from './attributes.ts';
import { readThroughWindow } from './read.ts';
import { isNoSuchFile, SftpRefusal } from './refusal.ts';
import type { SftpSession } from './session.ts';
import { OVERLAP_MS } from '../store.ts';

/** Other processes may rename a file to the same name at the same moment. */
const RENAME_ATTEMPTS = 4;

/**
 * Renames a file, and replaces an existing one. A server without posix-rename may refuse to replace: then the existing file is
 * removed first, unless both have the same bytes.
 */
export async function replaceFile(
  session: SftpSession,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.rename(from, to);
      return;
    } catch (error) {
      if (!isWorthAnother(error, attempt) || replaces(session)) throw error;
      const there = await factsIfThere(session, to);
      if (there?.kind !== 'file') throw error;
      const isDone = await holdTheSame(session, from, to, signal);
      await removeIfThere(session, isDone ? from : to);
      if (isDone) return;
    }
  }
}

/**
 * Moves a file to another folder, and replaces an existing one as `replaceFile` does. Returns false if there is no file to move.
 * @param makeFolders makes the folders on the way to the new name
 */
export async function moveFile(
  session: SftpSession,
  from: string,
  to: string,
  makeFolders: () => Promise<void>,
  signal: AbortSignal,
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.rename(from, to);
      return true;
    } catch (error) {
      if (!(error instanceof SftpRefusal)) throw error;
      if ((await factsIfThere(session, from)) === null) return false;
      if (!isWorthAnother(error, attempt)) throw error;
      const there = await factsIfThere(session, to);
      if (there === null) {
        await makeFolders();
        continue;
      }
      if (replaces(session) || there.kind !== 'file') throw error;
      const isDone = await holdTheSame(session, from, to, signal);
      await removeIfThere(session, isDone ? from : to);
      if (isDone) return true;
    }
  }
}

/**
 * Renames a file if the new name is free. If it is taken, that file stays, this one is removed, and it returns false. Another process
 * may still replace the file if the server has no other way than to look first.
 */
export async function nameIfFree(
  session: SftpSession,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<boolean> {
  const canLink = session.offers('hardlink@openssh.com');
  const isLinked = canLink && (await isGranted(session.link(from, to)));
  const isTaken = isLinked || (await factsIfThere(session, to)) !== null;
  let isRenamed = false;
  if (!isTaken) {
    const renaming = session.renameUnreplacing(from, to);
    isRenamed = await isGranted(renaming);
    if (!isRenamed && (await factsIfThere(session, to)) === null) await renaming;
  }
  // If the server replaces files, another process that looked before this rename may still rename after it.
  if (!canLink || !isTaken) await pause(OVERLAP_MS, signal);
  await removeIfThere(session, from);
  return isLinked || isRenamed;
}

/** null if nothing has that name. Links are not followed. */
export async function factsIfThere(session: SftpSession, path: string): Promise<FileFacts | null> {
  try {
    return await session.linkFacts(path);
  } catch (error) {
    if (isNoSuchFile(error)) return null;
    throw error;
  }
}

function replaces(session: SftpSession): boolean {
  return session.offers('posix-rename@openssh.com');
}

function isWorthAnother(error: unknown, attempt: number): boolean {
  return error instanceof SftpRefusal && attempt < RENAME_ATTEMPTS;
}

/** False if the server refuses the request. */
async function isGranted(request: Promise<void>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (error instanceof SftpRefusal) return false;
    throw error;
  }
}

async function removeIfThere(session: SftpSession, path: string): Promise<void> {
  await session.remove(path).catch((error: unknown) => {
    if (!isNoSuchFile(error)) throw error;
  });
}

/** Compares two files byte by byte: the existing one may be damaged. */
async function holdTheSame(
  session: SftpSession,
  path: string,
  otherPath: string,
  signal: AbortSignal,
): Promise<boolean> {
  const others = readThroughWindow(session, { path: otherPath, range: undefined, sizeBytes: null, signal });
  try {
    const [facts, otherFacts] = await Promise.all([session.linkFacts(path), session.linkFacts(otherPath)]);
    if (facts.kind !== 'file' || otherFacts.kind !== 'file') return false;
    if (facts.sizeBytes === null || facts.sizeBytes !== otherFacts.sizeBytes) return false;
    for await (const piece of readThroughWindow(session, {
      path,
      range: undefined,
      sizeBytes: null,
      signal,
    })) {
      const other = await others.next();
      if (other.done === true || !Buffer.from(piece).equals(other.value)) return false;
    }
    return true;
  } catch (error) {
    // Another process is replacing it, too.
    if (isNoSuchFile(error)) return false;
    throw error;
  } finally {
    await others.return(undefined);
  }
}
