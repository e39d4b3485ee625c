import { readFile, readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { errorCode } from '../system/error-code.ts';
import { notKept, tryStateDirectory, writeStateFile } from '../system/state-file.ts';
import { syncDirectory } from '../system/sync-directory.ts';
import { isGuestName } from './definition.ts';
import { parseGuestRecord, type GuestRecord } from './guest-record.ts';

/** What this machine remembers of guests, one file for each. */
export interface RecordStore {
  /** Null when nothing is known of such a guest. Throws Failure `guest-unsupported` for a damaged record. */
  read(name: string): Promise<GuestRecord | null>;
  /**
   * Replaces the guest's record, but keeps its sources unless others are given; when it returns, that survives loss of power.
   * Throws as `writeStateFile` does.
   */
  write(record: NewGuestRecord): Promise<GuestRecord>;
  /** All records, by name. Throws as `read` does. */
  list(): Promise<GuestRecord[]>;
  /** Forgets the guest; that it is not known is no error. */
  remove(name: string): Promise<void>;
  /** Throws what `write` would, so far as that can be told before there is something to write. */
  requireWritable(): Promise<void>;
}

/** The store adds the rest. A record that is put back keeps its time. */
export type NewGuestRecord = Pick<GuestRecord, 'definition' | 'state' | 'move' | 'sources'> &
  Partial<Pick<GuestRecord, 'changedAt'>>;

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
const WHAT = 'What vmferry remembers of guests';

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

    async write({ definition, state, move, sources, changedAt = now().toISOString() }) {
      // A record that cannot be read is replaced, as ever.
      const kept = sources ?? (await read(definition.name).catch(() => null))?.sources ?? [];
      const record: GuestRecord = {
        version: 1,
        definition,
        state,
        changedAt,
        ...(move && { move }),
        ...(kept.length > 0 && { sources: kept }),
      };
      await writeStateFile(fileOf(definition.name), `${JSON.stringify(record, null, 2)}\n`, WHAT);
      return record;
    },

    requireWritable: () => tryStateDirectory(directory, WHAT),

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
