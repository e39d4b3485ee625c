import { hash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestedText, isDigestedText } from './files/digested-json.ts';
import { writeStateFile } from '../system/state-file.ts';

/** A disk as it is in a snapshot. */
export interface RecordedDisk {
  sizeBytes: number;
  fingerprint: string;
  /** `chunkUsage` of it. */
  usage: Uint8Array;
}

/** A recording of a guest's writes, and the snapshot at whose instant it began. */
export interface RecordingNote {
  guest: string;
  storeId: string;
  /** `GuestIdentity.id`. */
  run: string;
  /** `Recording.id`. */
  recording: string;
  snapshotId: string;
  /** The disks of the definition, in its order. */
  disks: readonly RecordedDisk[];
}

/** One file for each guest and store. */
export interface RecordingNotes {
  /** Null when there is none, or none that is whole. */
  recall(guest: string, storeId: string): Promise<RecordingNote | null>;
  /** Replaces the guest's note for that store. Throws what `writeStateFile` throws. */
  keep(note: RecordingNote): Promise<void>;
  forget(guest: string, storeId: string): Promise<void>;
}

const noteSchema = z.object({
  version: z.literal(1),
  guest: z.string(),
  storeId: z.string(),
  run: z.string(),
  recording: z.string(),
  snapshotId: z.string(),
  disks: z.array(z.object({ sizeBytes: z.int(), fingerprint: z.string(), usage: z.base64() })),
});

/** Keeps the notes in files of a directory, which is made with the first file. */
export function createRecordingNotes(directory: string): RecordingNotes {
  const fileOf = (guest: string, storeId: string) =>
    join(directory, `${hash('sha256', `${storeId} ${guest}`, 'hex').slice(0, 32)}.json`);
  return {
    async recall(guest, storeId) {
      const note = await readFile(fileOf(guest, storeId), 'utf8')
        .then(parseNote)
        .catch(() => null);
      return note?.guest === guest && note.storeId === storeId ? note : null;
    },

    async keep(note) {
      const disks = note.disks.map((disk) => ({
        ...disk,
        usage: Buffer.from(disk.usage).toString('base64'),
      }));
      const text = digestedText({ version: 1, ...note, disks });
      await writeStateFile(fileOf(note.guest, note.storeId), text, 'What was recorded of the guest’s writes');
    },

    async forget(guest, storeId) {
      await rm(fileOf(guest, storeId), { force: true }).catch(() => undefined);
    },
  };
}

function parseNote(text: string): RecordingNote | null {
  if (!isDigestedText(text)) return null;
  const { disks, ...note } = noteSchema.parse(JSON.parse(text));
  return { ...note, disks: disks.map((disk) => ({ ...disk, usage: Buffer.from(disk.usage, 'base64') })) };
}
