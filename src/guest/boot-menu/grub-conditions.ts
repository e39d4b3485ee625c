import { conjunction, disjunction, evaluateTest, negation, type Truth } from './grub-test.ts';
import type { Word } from './menu-entry.ts';

/** An `if`, or a loop, which is read once as if it were a condition that nobody knows. */
interface Frame {
  outer: Truth;
  /** Whether one of the branches before was taken. */
  taken: Truth;
  /** The condition of the branch that begins with the next `then`. */
  next: Truth;
  isBeforeThen: boolean;
}

/** Follows the conditions of a script of GRUB, and says which of its commands GRUB runs. */
export class GrubConditions {
  readonly #mayBeSet: (variable: string) => boolean;
  readonly #frames: Frame[] = [];
  #reached: Truth = true;

  /** @param mayBeSet whether a variable without a value may have one when the guest boots */
  constructor(mayBeSet: (variable: string) => boolean) {
    this.#mayBeSet = mayBeSet;
  }

  /** Whether GRUB comes to the command that `take` has just returned. */
  get reached(): Truth {
    return this.#reached;
  }

  get depth(): number {
    return this.#frames.length;
  }

  /** Leaves the keywords out. What remains is a command, or nothing. */
  take(words: readonly Word[]): readonly Word[] {
    // By number: a line of a hostile menu has 200,000 keywords.
    for (let at = 0; ; at++) {
      const frame = this.#frames.at(-1);
      switch (words[at]?.text) {
        case 'if':
          this.#open(evaluateTest(words.slice(at + 1), this.#mayBeSet), true);
          return [];
        case 'for':
        case 'while':
        case 'until':
          this.#open(null, false);
          this.#reached = conjunction(this.#reached, null);
          return [];
        case 'elif':
          if (frame !== undefined) {
            frame.next = evaluateTest(words.slice(at + 1), this.#mayBeSet);
            frame.isBeforeThen = true;
            this.#reached = frame.outer;
          }
          return [];
        case 'then':
        case 'else':
          if (frame !== undefined) this.#branch(frame, words[at]?.text === 'then' ? frame.next : true);
          break;
        case 'fi':
        case 'done':
          this.#reached = this.#frames.pop()?.outer ?? true;
          return [];
        case 'do':
          break;
        default:
          // A condition of several commands: GRUB asks the last one.
          if (frame?.isBeforeThen === true) frame.next = null;
          return at === 0 ? words : words.slice(at);
      }
    }
  }

  /** Forgets those that a block has begun and not ended. */
  leaveBlock(depth: number): void {
    const [first] = this.#frames.splice(depth);
    if (first !== undefined) this.#reached = first.outer;
  }

  #open(next: Truth, isBeforeThen: boolean): void {
    this.#frames.push({ outer: this.#reached, taken: false, next, isBeforeThen });
  }

  #branch(frame: Frame, condition: Truth): void {
    const branch = conjunction(negation(frame.taken), condition);
    this.#reached = conjunction(frame.outer, branch);
    frame.taken = disjunction(frame.taken, condition);
    frame.isBeforeThen = false;
  }
}
