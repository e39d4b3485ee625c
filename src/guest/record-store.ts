import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { errorCode } from '../system/error-code.ts';
import { replaceFile } from '../system/replace-file.ts';
import { syncDirectory } from '../system/sync-directory.ts';
import { isGuestName } from './definition.ts';
import { parseGuestRecord, type GuestRecord } from './guest-record.ts';

/** What this machine remembers of guests, one file for each. */
export interface RecordStore {
  /** Null when nothing is known of such a guest. Throws Failure `guest-unsupported` for a damaged record. */
  read(name: string): Promise<GuestRecord | null>;
  /** Replaces the guest's record; when it returns, that survives loss of power. Throws Failure `not-permitted`. */
  write(record: NewGuestRecord): Promise<GuestRecord>;
  /** All records, by name. Throws as `read` does. */
  list(): Promise<GuestRecord[]>;
  /** Forgets the guest; that it is not known is no error. */
  remove(name: string): Promise<void>;
}

/** The store adds the rest. */
export type NewGuestRecord = Pick<GuestRecord, 'definition' | 'state' | 'move'>;

/**
 * The directory of all that vmferry remembers on this machine: `$VMFERRY_STATE_DIR`, else `/var/lib/vmferry` for
 * root, else `vmferry` in `$XDG_STATE_HOME` or `~/.local/state`.
 */
export function stateDirectory(environment: NodeJS.ProcessEnv, userId = process.getuid?.()): string {
  const chosen = environment['VMFERRY_STATE_DIR'];
  if (chosen) return resolve(chosen);
  if (userId === 0) return '/var/lib/vmferry';
  const base = environment['XDG_STATE_HOME'];
  // A relative path there is to be ignored (XDG Base Directory Specification).
  if (base?.startsWith('/')) return join(base, 'vmferry');
  return join(environment['HOME'] || homedir(), '.local', 'state', 'vmferry');
}

const suffix = '.json';

/** Records in files of the directory, which is made when it is first written to. */
export function createRecordStore(directory: string, now: () => Date = () => new Date()): RecordStore {
  const fileOf = (name: string) => join(directory, `${name}${suffix}`);

  const read = async (name: string): Promise<GuestRecord | null> => {
    if (!isGuestName(name)) return null;
    const text = await readIfThere(fileOf(name));
    return text === null ? null : parseGuestRecord(text, fileOf(name));
  };

  return {
    read,

    async write({ definition, state, move }) {
      const changedAt = now().toISOString();
      const record: GuestRecord = { version: 1, definition, state, changedAt, ...(move && { move }) };
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await replaceFile(fileOf(definition.name), `${JSON.stringify(record, null, 2)}\n`, 0o600);
      } catch (error) {
        throw notWritable(directory, error);
      }
      return record;
    },

    async list() {
      const records: GuestRecord[] = [];
      for (const file of (await filesIn(directory)).toSorted()) {
        const record = await read(file.slice(0, -suffix.length));
        if (record !== null) records.push(record);
      }
      return records;
    },

    async remove(name) {
      if (!isGuestName(name)) return;
      try {
        await rm(fileOf(name), { force: true });
        await syncDirectory(directory);
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw notWritable(directory, error);
      }
    },
  };
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw notReadable(file, error);
  }
}

async function filesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((file) => file.endsWith(suffix));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw notReadable(directory, error);
  }
}

function notReadable(path: string, cause: unknown): Failure {
  return new Failure('not-permitted', `${path} cannot be read: ${errorCode(cause)}.`, { cause });
}

function notWritable(directory: string, cause: unknown): Failure {
  return new Failure(
    'not-permitted',
    `What vmferry remembers of guests cannot be written to ${directory}: ${errorCode(cause)}.`,
    {
      advice: 'Set VMFERRY_STATE_DIR to a directory that you may write to, and keep it set.',
      cause,
    },
  );
}
