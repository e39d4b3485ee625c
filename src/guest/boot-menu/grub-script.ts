import {
  cannotFollow,
  MOST_MENU_BYTES,
  MOST_UNKNOWN_IN_WORD,
  type MenuText,
  type UnknownVariable,
  type Word,
} from './menu-entry.ts';

/** A simple command of GRUB's script language, or the brace that ends a block. */
export interface Statement {
  line: number;
  words: readonly Word[];
  /** `{` follows: the next statements are in a block. */
  opensBlock: boolean;
  closesBlock: boolean;
}

/**
 * Splits a script of GRUB 2 into its commands and their words (GRUB manual, ‘Writing full configuration files directly’). Variables are
 * replaced by what `valueOf` knows at that moment; nothing else is evaluated. Throws Failure `guest-unsupported` for a
 * quotation mark without its end.
 */
export function* scanGrubScript(
  menu: MenuText,
  valueOf: (variable: string) => string | null,
): Generator<Statement, void> {
  const scan = new ScriptScan(menu, valueOf);
  for (;;) {
    const statement = scan.next();
    if (statement === null) return;
    yield statement;
  }
}

const variable = /\$(?:\{([^}\n]{0,200})\}|(\w{1,200}|[?#@*]))/y;

class ScriptScan {
  readonly #menu: MenuText;
  readonly #valueOf: (variable: string) => string | null;
  #at = 0;
  #line = 1;
  #words: Word[] = [];
  /** Null between words. */
  #word: (Word & { unknown: UnknownVariable[] }) | null = null;
  /** A variable may hold others: what they make of a short menu is limited. */
  #expandedCharacters = 0;
  /** A word in quotes is a word even if it is empty, or a brace. */
  #isQuoted = false;

  constructor(menu: MenuText, valueOf: (variable: string) => string | null) {
    this.#menu = menu;
    this.#valueOf = valueOf;
  }

  next(): Statement | null {
    const { text } = this.#menu;
    this.#words = [];
    let firstLine = this.#line;
    while (this.#at < text.length) {
      const character = text[this.#at] ?? '';
      if (/[\s;&|]/.test(character)) {
        const line = this.#line;
        this.#skip(1);
        const brace = this.#endWord();
        if (brace !== null) return this.#statement(firstLine, brace);
        if (/[\n;&|]/.test(character)) {
          if (this.#words.length > 0) return this.#statement(firstLine, null);
          firstLine = character === '\n' ? line + 1 : line;
        }
      } else if (character === '#' && this.#word === null) {
        const end = text.indexOf('\n', this.#at);
        this.#at = end === -1 ? text.length : end;
      } else this.#take(character);
    }
    const brace = this.#endWord();
    return brace === null && this.#words.length === 0 ? null : this.#statement(firstLine, brace);
  }

  #statement(line: number, brace: string | null): Statement {
    return { line, words: this.#words, opensBlock: brace === '{', closesBlock: brace === '}' };
  }

  /** Returns a brace that is a word of its own: it ends the command before it. */
  #endWord(): string | null {
    const word = this.#word;
    const isQuoted = this.#isQuoted;
    this.#word = null;
    this.#isQuoted = false;
    if (word === null) return null;
    const isBrace = !isQuoted && (word.text === '{' || (word.text === '}' && this.#words.length === 0));
    if (isBrace && word.unknown.length === 0) return word.text;
    this.#words.push(word.text === '' && !isQuoted ? { ...word, mayVanish: true } : word);
    return null;
  }

  #take(character: string): void {
    switch (character) {
      case "'":
        this.#isQuoted = true;
        this.#append(this.#quotation("'").text);
        return;
      case '"':
        this.#isQuoted = true;
        this.#quoted();
        return;
      case '\\': {
        const next = this.#menu.text[this.#at + 1] ?? '';
        this.#skip(2);
        // A line that goes on in the next one.
        if (next !== '\n') {
          this.#isQuoted = true;
          this.#append(next);
        }
        return;
      }
      case '$':
        this.#expand(false);
        return;
      default:
        this.#append(character);
        this.#skip(1);
    }
  }

  #append(text: string, unknown: string | null = null): void {
    this.#word ??= { text: '', unknown: [] };
    if (unknown !== null) this.#word.unknown.push({ name: unknown, at: this.#word.text.length });
    if (this.#word.unknown.length > MOST_UNKNOWN_IN_WORD)
      throw cannotFollow(
        this.#menu,
        this.#line,
        `has more than ${MOST_UNKNOWN_IN_WORD} unknown variables in a word`,
      );
    this.#word.text += text;
  }

  #quotation(mark: string): { text: string } {
    const end = this.#menu.text.indexOf(mark, this.#at + 1);
    if (end === -1) throw this.#unended();
    const text = this.#menu.text.slice(this.#at + 1, end);
    this.#skip(end + 1 - this.#at);
    return { text };
  }

  #quoted(): void {
    const { text } = this.#menu;
    const line = this.#line;
    this.#skip(1);
    this.#append('');
    for (;;) {
      const character = text[this.#at];
      if (character === undefined) throw this.#unended(line);
      if (character === '"') {
        this.#skip(1);
        return;
      }
      if (character === '$') this.#expand(true);
      else {
        const escaped = character === '\\' ? (text[this.#at + 1] ?? '') : '';
        const isEscape = escaped !== '' && '"$\\\n'.includes(escaped);
        if (!(isEscape && escaped === '\n')) this.#append(isEscape ? escaped : character);
        this.#skip(isEscape ? 2 : 1);
      }
    }
  }

  #expand(isInQuotes: boolean): void {
    variable.lastIndex = this.#at;
    const [all, inBraces, plain] = variable.exec(this.#menu.text) ?? [];
    if (all === undefined) {
      this.#append('$');
      this.#skip(1);
      return;
    }
    this.#skip(all.length);
    const name = inBraces ?? plain ?? '';
    const value = this.#valueOf(name);
    this.#expandedCharacters += value?.length ?? 0;
    if (this.#expandedCharacters > MOST_MENU_BYTES)
      throw cannotFollow(this.#menu, this.#line, 'makes the menu too long by its variables');
    if (value === null || isInQuotes) {
      this.#append(value ?? '', value === null ? name : null);
      return;
    }
    // Without quotes, a value may be several words.
    for (const [index, part] of value.split(/\s+/).entries()) {
      if (index > 0) this.#endWord();
      if (part !== '') this.#append(part);
    }
  }

  #skip(count: number): void {
    for (const end = this.#at + count; this.#at < end; this.#at++)
      if (this.#menu.text[this.#at] === '\n') this.#line++;
  }

  #unended(line = this.#line) {
    return cannotFollow(this.#menu, line, 'begins a quotation that does not end');
  }
}
