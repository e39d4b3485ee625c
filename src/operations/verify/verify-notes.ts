import type { PackedFrame } from '../../pack/pack-layout.ts';
import type { Context } from '../../events.ts';
import type { CheckRecord } from '../../repository/check-record.ts';
import { isNotWritable } from '../../repository/files/not-writable.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { Structure } from './check-structure.ts';
import { writeCheckRecord } from '../store-access/stored-check-records.ts';

/** Records in the store what verify found. In a store that cannot be written to, it warns once and records nothing. */
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
   * Replaces wrong and unreadable index files by correct ones, and returns the replaced ones. New files are written first, so that
   * every pack is in an index at all times.
   * @param layouts by pack id: the tables of packs that no index describes correctly
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
    const known = new Set(index.wrongFiles.flatMap(({ wrong }) => [...wrong]));
    const unnamed = [...layouts].flatMap(([id, frames]) => {
      const pack = packs.get(id);
      return pack === undefined || known.has(id) ? [] : [{ ...pack, frames }];
    });
    await this.#write(async () => {
      const written = await this.#folder.writeIndexes(unnamed, signal);
      for (const { file } of index.failures) {
        // The new file may have the same name, and then has replaced the old one.
        if (!written.has(file)) await this.#folder.store.remove(this.#folder.nameOf('index', file), signal);
        corrected.add(file);
      }
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
      if (!isNotWritable(error)) throw error;
      this.#isRefused = true;
      const message = `The findings could not be recorded in the store, so the next backup does not know them: ${error.message}`;
      this.#context.report({ type: 'warning', code: 'other', message });
    }
  }
}
