import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { isGuestName } from '../guest/definition.ts';
import { errorCode } from '../system/error-code.ts';
import { writeStateFile } from '../system/state-file.ts';
import { isSnapshotId } from './files/snapshot-id.ts';

/** What this machine has last seen of a store: by it one finds out that a server shows less, or something else. */
export interface RememberedStore {
  id: string;
  isEncrypted: boolean;
  /** For each guest the id of the newest snapshot that was seen. */
  newest: ReadonlyMap<string, string>;
  /** Where it is remembered, for messages. */
  file: string;
}

/** One file for each location of a store. */
export interface StoreMemory {
  /**
   * Null when the location is not known. Throws Failure `store-unsupported` for a damaged file, `not-permitted`.
   * @param location the store's, always written in the same way
   */
  recall(location: string): Promise<RememberedStore | null>;
  /**
   * Remembers the store, and newest snapshots besides those of other guests that are remembered: null forgets the
   * guest. What is remembered of a store with another id is forgotten. Survives a loss of power. Throws as `recall` and
   * `writeStateFile` do.
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

/** In files of the directory, which is made when it is first written to. */
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
          `What is remembered of the store, ${file}, cannot be read: ${code}.`,
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
      // What is known already need not be written again, on a system that cannot, either.
      if (before !== null && text === (await readFile(file, 'utf8'))) return;
      await writeStateFile(file, text, 'What was seen of the store');
    },
  };
}

function notUnderstood(file: string, location: string, cause: unknown): Failure {
  return new Failure(
    'store-unsupported',
    `What is remembered of the store ${location} cannot be understood.`,
    {
      advice: `A newer vmferry may have written ${file}: use that one, or remove the file.`,
      cause,
    },
  );
}
