import type { ConfigProblem } from './config-problem.ts';
import type { Atom, Statement, Value } from './parse.ts';

/** What a key has in the end: the last `=`, and every `+=` after it. */
export interface Setting {
  key: string;
  value: Value;
  /** The statements that it is made of; those before the last `=` do not count. */
  statements: readonly Statement[];
  line: number;
}

/** The settings of a configuration by their keys. What is wrong with one is noted once, with its line. */
export class Settings {
  readonly problems: ConfigProblem[] = [];
  readonly #settings = new Map<string, Setting>();

  readonly #statements: readonly Statement[];

  constructor(statements: readonly Statement[]) {
    this.#statements = statements;
    for (const statement of statements) this.#add(statement);
  }

  #add(statement: Statement): void {
    const { key, value, line } = statement;
    const before = statement.isAddition ? this.#settings.get(key) : undefined;
    if (before === undefined) {
      this.#settings.set(key, { key, value, statements: [statement], line });
      return;
    }
    const sum = addValues(before.value, value);
    if (sum === null) this.complain(line, `${key} += joins a list and a single value`);
    else
      this.#settings.set(key, {
        key,
        value: sum,
        statements: [...before.statements, statement],
        line: before.line,
      });
  }

  complain(line: number | null, message: string, kind?: ConfigProblem['kind']): void {
    this.problems.push({ line, message, ...(kind === undefined ? {} : { kind }) });
  }

  get(key: string): Setting | undefined {
    return this.#settings.get(key);
  }

  /** Every statement of the key, also those that no longer count. */
  statementsOf(key: string): Statement[] {
    return this.#statements.filter((statement) => statement.key === key);
  }

  /** All of them, in the order of the file. */
  all(): Setting[] {
    return [...this.#settings.values()].toSorted((one, other) => one.line - other.line);
  }

  /** A single value's text; undefined when it is not set. A list is a problem: xl passes over it without a word. */
  string(key: string): string | undefined {
    const setting = this.#settings.get(key);
    if (setting === undefined) return undefined;
    if (setting.value.kind === 'atom') return setting.value.text;
    this.complain(setting.line, `${key} is a list, and must be a single value`);
    return undefined;
  }

  /** A number, as C's strtol() reads it: decimal, 0x…, or octal after a 0. */
  number(key: string): number | undefined {
    const text = this.string(key);
    const setting = this.#settings.get(key);
    if (text === undefined || setting === undefined) return undefined;
    if (setting.statements.length > 1 || setting.statements[0]?.isAddition === true) {
      this.complain(setting.line, `${key} is a number, and cannot be set with +=`);
      return undefined;
    }
    const number = parseNumber(text);
    if (number === null) this.complain(setting.line, `${key} is not a number (${text.slice(0, 40)})`);
    return number ?? undefined;
  }

  /** A number that must be at least 1. */
  positive(key: string): number | undefined {
    const number = this.number(key);
    if (number === undefined || number > 0) return number;
    this.complain(this.#settings.get(key)?.line ?? null, `${key} must be at least 1`);
    return undefined;
  }

  /** 0 is no, any other number is yes. */
  flag(key: string): boolean | undefined {
    const number = this.number(key);
    return number === undefined ? undefined : number !== 0;
  }

  /** The items of a list; empty when it is not set. */
  atoms(key: string): readonly Atom[] {
    const setting = this.#settings.get(key);
    if (setting === undefined) return [];
    if (setting.value.kind === 'atom') {
      this.complain(setting.line, `${key} is a single value, and must be a list in brackets`);
      return [];
    }
    return setting.value.items.filter((item) => {
      if (item.kind === 'list') this.complain(item.line, `a list in the list ${key}`);
      return item.kind === 'atom';
    });
  }
}

function addValues(first: Value, second: Value): Value | null {
  if (first.kind === 'list' && second.kind === 'list')
    return { ...first, items: [...first.items, ...second.items] };
  if (first.kind === 'atom' && second.kind === 'atom') return { ...first, text: first.text + second.text };
  return null;
}

/** Null for anything but a whole number that is exact. */
export function parseNumber(text: string): number | null {
  const [, sign, digits = ''] = /^[ \t\n\v\f\r]*([+-]?)(0x[\da-f]+|\d+)$/i.exec(text) ?? [];
  if (sign === undefined) return null;
  const isOctal = /^0\d/.test(digits);
  if (isOctal && !/^[0-7]+$/.test(digits)) return null;
  const size = isOctal ? Number.parseInt(digits, 8) : Number(digits);
  if (!Number.isSafeInteger(size)) return null;
  return sign === '-' ? -size : size;
}
