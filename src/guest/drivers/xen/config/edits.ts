import type { Settings } from './settings.ts';

interface Edit {
  from: number;
  to: number;
  text: string;
}

/** Changes of single places of a configuration. The rest of the text stays as it is. */
export class TextEdits {
  readonly #text: string;
  readonly #settings: Settings;
  readonly #edits: Edit[] = [];
  readonly #added: string[] = [];

  constructor(text: string, settings: Settings) {
    this.#text = text;
    this.#settings = settings;
  }

  /** Gives a key this value, written as in the file; null removes it. */
  set(key: string, value: string | null): void {
    const [first, ...others] = this.#settings.get(key)?.statements ?? [];
    if (first === undefined) {
      if (value !== null) this.#added.push(`${key} = ${value}\n`);
      return;
    }
    if (value !== null) this.replace(first.value, value);
    // An earlier statement of the key would count again.
    for (const { from, to } of value === null ? this.#settings.statementsOf(key) : others)
      this.replace({ from, to }, '');
  }

  replace({ from, to }: { from: number; to: number }, text: string): void {
    this.#edits.push({ from, to, text });
  }

  /** The changed text. No two changes overlap. */
  apply(): string {
    let text = this.#text;
    for (const edit of this.#edits.toSorted((one, other) => other.from - one.from))
      text = text.slice(0, edit.from) + edit.text + text.slice(edit.to);
    if (this.#added.length === 0) return text;
    return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${this.#added.join('')}`;
  }
}
