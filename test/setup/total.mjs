import process from 'node:process';

/** The total of a run, for its last line: `N passed, N failed, N skipped`. */
export class Total {
  #passed = 0;
  #failed = [];
  #skipped = [];

  /** `failed` and `skipped` are names. */
  add({ passed, failed, skipped }) {
    this.#passed += passed;
    this.#failed.push(...failed);
    this.#skipped.push(...skipped);
  }

  /** Prints the total, and sets the exit status: 1 when anything failed. */
  print() {
    console.log('');
    for (const name of this.#skipped) console.log('skipped:', name);
    // Repeated here, since who reads a long log begins at its end.
    for (const name of this.#failed) console.log('failed:', name);
    console.log(`${this.#passed} passed, ${this.#failed.length} failed, ${this.#skipped.length} skipped`);
    process.exitCode = this.#failed.length > 0 ? 1 : 0;
  }
}
