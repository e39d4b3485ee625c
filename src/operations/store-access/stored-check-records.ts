import { compressText, decompressIds } from '../../codec/compressed-text.ts';
import { sealPurpose } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import {
  CHECK_RECORD_LIMIT_BYTES,
  checkRecordText,
  mergeCheckRecords,
  parseCheckRecord,
  type CheckRecord,
} from '../../repository/check-record.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import { isMissingFile } from '../../repository/files/missing-file.ts';

const FILES_AT_ONCE = 8;

/** The merged records of a guest's checks, and the files that they were read from. */
export interface StoredCheckRecord {
  record: CheckRecord;
  /** Names in the store. */
  files: readonly string[];
  /** Failures of files that could not be read; these are left out. */
  failures: readonly Failure[];
}

export async function readCheckRecord(folder: GuestReader, signal: AbortSignal): Promise<StoredCheckRecord> {
  const entries = await folder.store.list(folder.pathOf('checked'), signal);
  const files = entries
    .filter(({ name, isFolder, isStrange }) => !isFolder && isStrange !== true && idOf(folder, name) !== null)
    .map(({ name }) => folder.pathOf(`checked/${name}`));
  const failures: Failure[] = [];
  const records: CheckRecord[] = [];
  const results = mapOrdered(files, FILES_AT_ONCE, (file) => readFile(folder, file, signal));
  for await (const result of results) {
    if (result instanceof Failure) failures.push(result);
    else if (result !== null) records.push(result);
  }
  return { record: mergeCheckRecords(records), files, failures };
}

/** Writes a record, and then removes the files that it replaces. */
export async function writeCheckRecord(
  folder: GuestFolder,
  record: CheckRecord,
  replaced: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const text = checkRecordText(record);
  const sealed = folder.seal.seal(purposeOf(folder), compressText(text));
  const name = folder.pathOf(`checked/${folder.seal.nameOf(Buffer.from(text))}${endingOf(folder)}`);
  await folder.store.put(name, [sealed], { signal });
  for (const file of replaced) if (file !== name) await folder.store.remove(file, signal);
}

/** Null if the file is gone: another verify has replaced it. */
async function readFile(
  folder: GuestReader,
  file: string,
  signal: AbortSignal,
): Promise<CheckRecord | Failure | null> {
  try {
    const sealed = await folder.read(file, CHECK_RECORD_LIMIT_BYTES, signal);
    const compressed = folder.seal.open(purposeOf(folder), sealed);
    const text = decompressIds(compressed, CHECK_RECORD_LIMIT_BYTES, file);
    if (folder.seal.nameOf(Buffer.from(text)) !== idOf(folder, file.split('/').at(-1) ?? ''))
      return new Failure('store-damaged', `${file} is damaged: its name is not the digest of its content.`);
    return parseCheckRecord(text);
  } catch (error) {
    if (error instanceof Failure && error.code === 'store-damaged') return error;
    if (isMissingFile(error)) return null;
    throw error;
  }
}

function idOf(folder: GuestReader, fileName: string): string | null {
  const ending = endingOf(folder);
  const id = fileName.endsWith(ending) ? fileName.slice(0, -ending.length) : '';
  return /^[0-9a-f]{64}$/.test(id) ? id : null;
}

function endingOf({ seal }: GuestReader): string {
  return `.zst${seal.suffix}`;
}

function purposeOf({ guest }: GuestReader): string {
  return sealPurpose.checked(guest);
}
