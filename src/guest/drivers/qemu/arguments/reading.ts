import type { Failure } from '../../../../failure.ts';
import { describeOption, type QemuOption } from './option-list.ts';

/** Where a value stands in a command line, so that it can be replaced there. */
export interface ValuePlace {
  /** `QemuOption.place`. */
  option: number;
  /** The key in the option's settings; empty: the option's whole value. */
  key: string;
  /** See `withSetting`. */
  impliedKey?: string;
}

/** What all parts of the reader write to. */
export class Reading {
  readonly options: readonly QemuOption[];
  /** Makes a path absolute; null, with a problem noted, when it cannot be known where the path starts. */
  readonly #resolve: (path: string) => string | null;
  readonly #beyond: { place: number; text: string }[] = [];
  readonly problems: Failure[] = [];

  constructor(options: readonly QemuOption[], resolve: (path: string) => string | null) {
    this.options = options;
    this.#resolve = resolve;
  }

  /** All options of that name, in order. */
  all(...names: readonly string[]): QemuOption[] {
    return this.options.filter(({ name }) => names.includes(name));
  }

  /** The last one counts, as for QEMU. */
  last(...names: readonly string[]): QemuOption | undefined {
    return this.all(...names).at(-1);
  }

  path(text: string): string | null {
    return this.#resolve(text);
  }

  /** Notes that the option, or a part of it, has no neutral field. */
  noteBeyond(option: QemuOption, part?: string): void {
    const whole = describeOption(option);
    this.#beyond.push({ place: option.place, text: part === undefined ? whole : `${whole} (${part})` });
  }

  /** For `NativeDefinition.beyond`: in the order of the arguments, each once. */
  get beyond(): string[] {
    const sorted = this.#beyond.toSorted((one, other) => one.place - other.place);
    return [...new Set(sorted.map(({ text }) => text))];
  }

  noteProblem(problem: Failure): void {
    this.problems.push(problem);
  }
}
