import { readFile, readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { errorCode } from '../system/error-code.ts';
import { notKept, tryStateDirectory, writeStateFile } from '../system/state-file.ts';
import { syncDirectory } from '../system/sync-directory.ts';
import { isGuestName } from './definition.ts';
import { parseGuestRecord, type GuestRecord } from './guest-record.ts';

/** What this machine remembers of guests: one file for each guest. */
export interface RecordStore {
  /** Null when there is no record. Throws Failure `guest-unsupported` for a damaged one. */
  read(name: string): Promise<GuestRecord | null>;
  /**
   * Replaces the guest's record, but keeps its sources unless others are given. The record is on the disk when this
   * returns. Throws as `writeStateFile` does.
   */
  write(record: NewGuestRecord): Promise<GuestRecord>;
  /** All records, by name. Throws as `read` does. */
  list(): Promise<GuestRecord[]>;
  /** The guests that have a record, readable or not, in order. */
  names(): Promise<string[]>;
  /** Removes the guest's record, if there is one. */
  remove(name: string): Promise<void>;
  /** Throws what `write` would throw, as far as that can be known before. */
  requireWritable(): Promise<void>;
}

/** What `write` takes: the store adds the rest. `changedAt` is given for a record that is put back. */
export type NewGuestRecord = Pick<
  GuestRecord,
  'definition' | 'state' | 'move' | 'copying' | 'fence' | 'sources'
> &
  Partial<Pick<GuestRecord, 'changedAt'>>;

/**
 * The directory of everything that vmferry remembers on this machine: `$VMFERRY_STATE_DIR`, else `/var/lib/vmferry` for
 * root, else `vmferry` in `$XDG_STATE_HOME` or `~/.local/state`.
 */
export function stateDirectory(environment: NodeJS.ProcessEnv, userId = process.getuid?.()): string {
  const chosen = environment['VMFERRY_STATE_DIR'];
  if (chosen) return resolve(chosen);
  if (userId === 0) return '/var/lib/vmferry';
  const base = environment['XDG_STATE_HOME'];
  // The XDG Base Directory Specification says to ignore a relative path.
  if (base?.startsWith('/')) return join(base, 'vmferry');
  return join(environment['HOME'] || homedir(), '.local', 'state', 'vmferry');
}

const suffix = '.json';
const WHAT = 'What vmferry remembers of guests';

/** Records as files in the directory, which the first write creates. */
export function createRecordStore(directory: string, now: () => Date = () => new Date()): RecordStore {
  const fileOf = (name: string) => join(directory, `${name}${suffix}`);

  const read = async (name: string): Promise<GuestRecord | null> => {
    if (!isGuestName(name)) return null;
    const text = await readIfThere(fileOf(name));
    return text === null ? null : parseGuestRecord(text, fileOf(name));
  };

  const names = async (): Promise<string[]> =>
    (await filesIn(directory)).map((file) => file.slice(0, -suffix.length)).toSorted();

  return {
    read,
    names,

    async write({ definition, state, move, copying, fence, sources, changedAt = now().toISOString() }) {
      // A record that cannot be read is replaced.
      const kept = sources ?? (await read(definition.name).catch(() => null))?.sources ?? [];
      const record: GuestRecord = {
        version: 1,
        definition,
        state,
        changedAt,
        ...(move && { move }),
        ...(copying && { copying }),
        ...(fence && { fence }),
        ...(kept.length > 0 && { sources: kept }),
      };
      await writeStateFile(fileOf(definition.name), `${JSON.stringify(record, null, 2)}\n`, WHAT);
      return record;
    },

    requireWritable: () => tryStateDirectory(directory, WHAT),

    async list() {
      const records: GuestRecord[] = [];
      for (const name of await names()) {
        const record = await read(name);
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
        if (errorCode(error) !== 'ENOENT') throw notKept(WHAT, directory, error);
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
