import type { PackedFrame } from '../../pack/pack-layout.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { CheckRecord } from '../../repository/check-record.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { Structure } from './check-structure.ts';
import { writeCheckRecord } from '../store-access/stored-check-records.ts';

/** What is written down in the store; a store that may only be read is verified all the same. */
export class VerifyNotes {
  readonly #folder: GuestFolder;
  readonly #context: Context;
  #isRefused = false;

  constructor(folder: GuestFolder, context: Context) {
    this.#folder = folder;
    this.#context = context;
  }

  async mark(damaged: ReadonlySet<string>, marked: ReadonlySet<string>): Promise<void> {
    const { signal } = this.#context;
    for (const id of damaged)
      if (!marked.has(id)) await this.#write(() => this.#folder.mark('damaged', id, signal));
  }

  async unmark(good: readonly string[], marked: ReadonlySet<string>): Promise<void> {
    const { signal } = this.#context;
    for (const id of good)
      if (marked.has(id)) await this.#write(() => this.#folder.unmark('damaged', id, signal));
  }

  /**
   * Puts a right index in the place of each that is wrong; answers with those. The new one is written first, so that at no moment
   * anything is in no index.
   * @param layouts what lies where in packs, by their own tables
   */
  async correctIndexes(
    { packs, index }: Structure,
    layouts: ReadonlyMap<string, readonly PackedFrame[]>,
  ): Promise<Set<string>> {
    const corrected = new Set<string>();
    const { signal } = this.#context;
    for (const { file, packs: said, wrong } of index.wrongFiles)
      await this.#write(async () => {
        const right = said.flatMap((pack) => {
          if (!wrong.has(pack.id)) return [pack];
          const frames = layouts.get(pack.id);
          return frames === undefined || !packs.has(pack.id) ? [] : [{ ...pack, frames }];
        });
        if (right.length > 0) await this.#folder.writeIndex(right, signal);
        await this.#folder.store.remove(this.#folder.nameOf('index', file), signal);
        corrected.add(file);
      });
    return corrected;
  }

  async record(record: CheckRecord, replaced: readonly string[]): Promise<void> {
    await this.#write(() => writeCheckRecord(this.#folder, record, replaced, this.#context.signal));
  }

  async #write(work: () => Promise<void>): Promise<void> {
    if (this.#isRefused) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Failure) || !isNotWritable(error)) throw error;
      this.#isRefused = true;
      const message = `What was found cannot be kept in the store, so the next backup will not know of it: ${error.message}`;
      this.#context.report({ type: 'warning', code: 'other', message });
    }
  }
}

/** A store that is read-only or full can be verified all the same. */
export function isNotWritable({ code }: Failure): boolean {
  return code === 'target-not-writable' || code === 'target-full';
}
