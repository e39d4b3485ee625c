import type { FileHandle } from 'node:fs/promises';

export interface ImageAttributes {
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  modifiedMs: number;
}

/** Sets mode, owner and time of last change. False when the owner could not be kept. */
export async function setFileAttributes(
  file: FileHandle,
  { mode, uid, gid, modifiedMs }: ImageAttributes,
): Promise<boolean> {
  let ownerKept = true;
  try {
    await file.chown(uid, gid);
  } catch {
    const own = await file.stat();
    ownerKept = own.uid === uid && own.gid === gid;
  }
  await file.chmod(mode & 0o777);
  await file.utimes(fileTimeSeconds(modifiedMs), fileTimeSeconds(modifiedMs));
  return ownerKept;
}

/** The limit of a JavaScript date. File systems have narrower limits, and use the nearest time. */
const LIMIT_MS = 8.64e15;

/** Limits the number: a store and the other machine may give any. */
function fileTimeSeconds(ms: number): number {
  return Math.min(Math.max(ms, -LIMIT_MS), LIMIT_MS) / 1000;
}
