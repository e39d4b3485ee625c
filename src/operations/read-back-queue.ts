import { asFailure } from '../failure.ts';
import type { AppliedPack, ImageAssembly } from './image-assembly.ts';

/**
 * Reads back what packs wrote while further packs are applied. All that waits is synced at once, so that a slow disk is
 * not asked for each pack.
 */
export class ReadBackQueue {
  readonly #assembly: ImageAssembly;
  readonly #onVerified: (bytes: number) => void;
  #waiting: AppliedPack[] = [];
  #working: Promise<void> | null = null;
  #failure: unknown = null;

  /** @param onVerified called with the plain bytes that were found right since the last call */
  constructor(assembly: ImageAssembly, onVerified: (bytes: number) => void) {
    this.#assembly = assembly;
    this.#onVerified = onVerified;
  }

  /** Throws what reading back failed with before: nothing that comes now can mend that. */
  push(applied: AppliedPack): void {
    if (this.#failure !== null) throw asFailure(this.#failure);
    this.#waiting.push(applied);
    this.#working ??= this.#work();
  }

  /** Resolves when all is read back. Throws what that failed with. */
  async settled(): Promise<void> {
    await this.#working;
    if (this.#failure !== null) throw asFailure(this.#failure);
  }

  async #work(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        await this.#assembly.readBack(batch, this.#onVerified);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#working = null;
  }
}
