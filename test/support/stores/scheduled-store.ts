import { setImmediate } from 'node:timers/promises';
import { Failure } from '../../../src/failure.ts';
import type { BackupStore, StoreEntry } from '../../../src/store/store.ts';

/** Random numbers that are determined by a seed: mulberry32. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** The error of a killed actor's operations. Nothing more is done for it. */
export class Killed extends Error {}

interface Step {
  actor: string;
  go: () => void;
  kill: () => void;
}

/** A file, and when it was written, by a clock that counts operations. */
interface StoredFile {
  bytes: Uint8Array;
  modifiedMs: number;
}

/**
 * A store in memory that several actors share. Their operations are done one at a time, chosen by a random number generator, so
 * that the order depends only on the seed. An actor may get many turns in a row, so that all its work is done between two steps
 * of another.
 */
export class ScheduledStore {
  files = new Map<string, StoredFile>();
  readonly #random: (below: number) => number;
  #steps: Step[] = [];
  readonly #staysInThousand: number;
  /** The clock in milliseconds; each put takes one. */
  clockMs = 1;
  #current: string | null = null;
  readonly #dead = new Set<string>();

  /** @param staysInThousand how often, of a thousand times, the same actor has the next turn as well */
  constructor(random: (below: number) => number, staysInThousand: number) {
    this.#random = random;
    this.#staysInThousand = staysInThousand;
  }

  /** The store for this actor; null: every operation is done at once. */
  as(actor: string | null): BackupStore {
    const turn = () => (actor === null ? Promise.resolve() : this.#turn(actor));
    return {
      location: 'a scheduled store',
      shortcomings: [],
      put: async (name, parts, { keepExisting = false }) => {
        await turn();
        if (keepExisting && this.files.has(name)) return;
        this.files.set(name, { bytes: Buffer.concat(parts), modifiedMs: ++this.clockMs });
      },
      get: (name, _signal, range) => this.#get(name, range, turn),
      remove: async (name) => {
        await turn();
        this.files.delete(name);
      },
      list: async (folder, _signal, which) => {
        await turn();
        const isLeftover = ({ name, isFolder }: StoreEntry) => !isFolder && name.includes('.part-');
        return this.#list(folder).filter((entry) => isLeftover(entry) === (which === 'leftovers'));
      },
      rename: async (from, to) => {
        await turn();
        const file = this.files.get(from);
        if (file === undefined) return false;
        this.files.delete(from);
        this.files.set(to, file);
        return true;
      },
      removeFolder: turn,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  /** Kills an actor: its pending and later operations fail. */
  kill(actor: string): void {
    this.#dead.add(actor);
    for (const step of this.#steps.filter((one) => one.actor === actor)) step.kill();
    this.#steps = this.#steps.filter((one) => one.actor !== actor);
  }

  /**
   * Runs the actors step by step until all have ended.
   * @param beforeStep called and awaited before each step, with the actors that wait for their turn
   */
  async run(actors: readonly Promise<unknown>[], beforeStep: (waiting: string[]) => unknown): Promise<void> {
    let ended = 0;
    for (const actor of actors) void actor.finally(() => ended++).catch(() => undefined);
    while (ended < actors.length) {
      // Once nothing else is pending, every actor waits for its turn or has ended.
      for (let tick = 0; tick < 3; tick++) await setImmediate();
      if (this.#steps.length === 0) continue;
      await beforeStep([...new Set(this.#steps.map(({ actor }) => actor))]);
      this.#nextStep()?.go();
    }
  }

  #nextStep(): Step | undefined {
    const own = this.#steps.filter(({ actor }) => actor === this.#current);
    const stays = this.#random(1000) < this.#staysInThousand && own.length > 0;
    const choice = stays ? own : this.#steps;
    const step = choice[this.#random(choice.length)];
    this.#current = step?.actor ?? null;
    this.#steps = this.#steps.filter((one) => one !== step);
    return step;
  }

  #turn(actor: string): Promise<void> {
    if (this.#dead.has(actor)) return Promise.reject(new Killed(actor));
    return new Promise((resolve, reject) => {
      this.#steps.push({ actor, go: resolve, kill: () => reject(new Killed(actor)) });
    });
  }

  async *#get(
    name: string,
    range: { offset: number; length: number } | undefined,
    turn: () => Promise<void>,
  ): AsyncGenerator<Uint8Array> {
    await turn();
    const file = this.files.get(name);
    if (file === undefined) throw new Failure('target-missing', `The store has no file ${name}.`);
    const { bytes } = file;
    yield range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
  }

  #list(folder: string): StoreEntry[] {
    const prefix = folder === '' ? '' : `${folder}/`;
    const entries = new Map<string, StoreEntry>();
    for (const [path, { bytes, modifiedMs }] of this.files) {
      if (!path.startsWith(prefix)) continue;
      const [name = '', ...more] = path.slice(prefix.length).split('/');
      const isFolder = more.length > 0;
      entries.set(name, { name, isFolder, sizeBytes: isFolder ? 0 : bytes.length, modifiedMs });
    }
    return [...entries.values()];
  }
}
