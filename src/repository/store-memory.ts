import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { isGuestName } from '../guest/definition.ts';
import { errorCode } from '../system/error-code.ts';
import { writeStateFile } from '../system/state-file.ts';
import { isSnapshotId } from './files/snapshot-id.ts';

/** What this machine has last seen of a store. It shows whether the server now presents an older state or another store. */
export interface RememberedStore {
  id: string;
  isEncrypted: boolean;
  /** By guest: the id of the newest snapshot seen. */
  newest: ReadonlyMap<string, string>;
  /** The file that remembers it, for messages. */
  file: string;
}

/** One file for each location of a store. */
export interface StoreMemory {
  /**
   * Null if the location is not known. Throws Failure `store-unsupported` for a damaged file, `not-permitted`.
   * @param location of the store, always written in the same way
   */
  recall(location: string): Promise<RememberedStore | null>;
  /**
   * Remembers the store, and forgets a store with another id at the same location. Survives a loss of power. Throws what `recall`
   * and `writeStateFile` throw.
   * @param newest by guest: its newest snapshot; null forgets the guest. Other guests stay as they are remembered
   */
  remember(
    location: string,
    store: Pick<RememberedStore, 'id' | 'isEncrypted'>,
    newest?: ReadonlyMap<string, string | null>,
  ): Promise<void>;
}

const remembered = z.strictObject({
  version: z.literal(1),
  location: z.string(),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  encrypted: z.boolean(),
  newest: z.array(
    z.strictObject({ guest: z.string().refine(isGuestName), snapshot: z.string().refine(isSnapshotId) }),
  ),
});

/** Keeps the memory in files of a directory, which is made with the first file. */
export function createStoreMemory(directory: string): StoreMemory {
  const nameOf = (location: string) => `${hash('sha256', location, 'hex').slice(0, 32)}.json`;

  const recall = async (location: string): Promise<RememberedStore | null> => {
    const file = join(directory, nameOf(location));
    try {
      const { id, encrypted, newest } = remembered.parse(JSON.parse(await readFile(file, 'utf8')));
      return {
        id,
        isEncrypted: encrypted,
        newest: new Map(newest.map((one) => [one.guest, one.snapshot])),
        file,
      };
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return null;
      if (code !== '')
        throw new Failure(
          'not-permitted',
          `What this machine remembers of the store cannot be read: ${file}: ${code}.`,
          {
            cause: error,
          },
        );
      throw notUnderstood(file, location, error);
    }
  };

  return {
    recall,

    async remember(location, { id, isEncrypted }, changes = new Map()) {
      const before = await recall(location);
      const newest = new Map(before?.id === id ? before.newest : []);
      for (const [guest, snapshot] of changes) {
        if (snapshot === null) newest.delete(guest);
        else newest.set(guest, snapshot);
      }
      const rows = [...newest].map(([guest, snapshot]) => ({ guest, snapshot }));
      const record: z.infer<typeof remembered> = {
        version: 1,
        location,
        id,
        encrypted: isEncrypted,
        newest: rows,
      };
      const text = `${JSON.stringify(record, null, 2)}\n`;
      const file = join(directory, nameOf(location));
      // Nothing new: do not write. On a read-only system this avoids a warning.
      if (before !== null && text === (await readFile(file, 'utf8'))) return;
      await writeStateFile(file, text, 'What was seen of the store');
    },
  };
}

function notUnderstood(file: string, location: string, cause: unknown): Failure {
  return new Failure(
    'store-unsupported',
    `What this machine remembers of the store ${location} cannot be understood.`,
    {
      advice: `A newer vmferry may have written ${file}: use that version, or remove the file.`,
      cause,
    },
  );
}
