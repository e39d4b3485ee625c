import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { READ_ONLY_ADVICE, readOnlyText } from '../system-failure.ts';
import { sftpStatus, type SftpRefusal } from './refusal.ts';
import type { FileSystemRoom } from './session.ts';

/** A write that a server refused. */
export interface RefusedWrite {
  /** Host and directory, for messages. */
  location: string;
  neededBytes: number;
  /** Free space, asked for after the refusal; null if the server cannot tell. */
  room: FileSystemRoom | null;
  /** Whether the directory exists, asked for after the refusal. */
  isThere: boolean;
}

/**
 * Explains a server's refusal to write. OpenSSH gives the same bare status 4 (Failure) for a full disk, an exceeded quota and a
 * broken disk, so the free space has to tell them apart.
 */
export function explainRefusedWrite(
  refusal: SftpRefusal,
  { location, neededBytes, room, isThere }: RefusedWrite,
): Failure {
  const cause = refusal;
  if (refusal.status === sftpStatus.noSuchFile && !isThere)
    return new Failure('target-missing', `There is no directory ${location}.`, {
      advice: 'Create it, or name another one.',
      cause,
    });
  if (room?.readOnly === true)
    return new Failure('target-not-writable', readOnlyText(location), { advice: READ_ONLY_ADVICE, cause });
  if (refusal.status === sftpStatus.permissionDenied)
    return new Failure('target-not-writable', `${location} may not be written to: permission denied.`, {
      advice:
        'Give the user that logs in there the right to write, or name another directory. ' +
        'list, diff, restore and verify need only read it.',
      cause,
    });
  if (refusal.status !== sftpStatus.failure && refusal.status !== sftpStatus.noSuchFile)
    return new Failure('transfer-failed', `${location} refused the data: ${refusal.message}.`, { cause });
  if (room !== null && (room.availableBytes < neededBytes || room.availableFiles === 0))
    return new Failure('target-full', `${location} is full: ${roomLeft(room)} left.`, {
      advice: 'Free some space there, or name a directory on a larger file system.',
      cause,
    });
  return new Failure(
    'target-not-writable',
    `${location} refused the data ${ownWords(refusal)}${room === null ? '' : `; ${roomLeft(room)} are left there`}.`,
    {
      advice: 'Check for a quota, a full disk or a failing disk there: df, quota, dmesg.',
      cause,
    },
  );
}

/** The text of OpenSSH's server adds nothing to the status; other servers may say what is wrong. */
function ownWords({ message }: SftpRefusal): string {
  return /^(?:failure|no such file\b.*)?$/i.test(message)
    ? 'and did not say why'
    : `and said: ${message.replace(/\.$/, '')}`;
}

function roomLeft({ availableBytes, availableFiles }: FileSystemRoom): string {
  return availableFiles === 0 ? 'no inode is' : formatBytes(availableBytes);
}
