import { Doubt } from '../file-systems/doubt.ts';

/*
 * The language of LVM's metadata: `name = value`, `name { … }`, lists in brackets, texts in quotes, comments from # to the end of the
 * line. Source: LVM2, libdm/libdm-config.c.
 */

export type ConfigValue = string | number | readonly (string | number)[];
export type ConfigSection = ReadonlyMap<string, ConfigValue | ConfigSection>;

const DEEPEST = 8;
/** LVM reads a number with a zero before it as an octal one, and never writes such a number: here it is none. */
const token =
  /[ \t\r\n\0]+|#[^\n]*|(?<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?<number>-?(?:0|[1-9]\d*)(?![\w.+@-]))|(?<name>[\w.+@-]+)|(?<mark>[={}[\],])/sy;

interface Token {
  /** A volume may be called 007: a number may be a name, too. */
  kind: 'text' | 'number' | 'name' | 'mark';
  value: string;
}

/** Throws Doubt for anything else than such a text. */
export function parseConfig(text: string): ConfigSection {
  const tokens = tokensOf(text);
  let next = tokens.next();

  const take = (): Token => {
    if (next.done === true) throw invalid();
    const { value } = next;
    next = tokens.next();
    return value;
  };
  const isMark = (mark: string): boolean =>
    next.done !== true && next.value.kind === 'mark' && next.value.value === mark;
  const expectMark = (mark: string): void => {
    if (!isMark(mark)) throw invalid();
    take();
  };

  const section = (depth: number): ConfigSection => {
    if (depth > DEEPEST) throw invalid();
    const entries = new Map<string, ConfigValue | ConfigSection>();
    while (next.done !== true && !isMark('}')) {
      const name = take();
      const key = name.kind === 'name' || name.kind === 'number' ? name.value : null;
      if (key === null || entries.has(key)) throw invalid();
      if (isMark('{')) {
        take();
        entries.set(key, section(depth + 1));
        expectMark('}');
      } else {
        expectMark('=');
        entries.set(key, isMark('[') ? list() : scalar());
      }
    }
    return entries;
  };

  const list = (): (string | number)[] => {
    const values: (string | number)[] = [];
    expectMark('[');
    while (!isMark(']')) {
      values.push(scalar());
      if (isMark(',')) take();
      else if (!isMark(']')) throw invalid();
    }
    take();
    return values;
  };

  const scalar = (): string | number => {
    const { kind, value } = take();
    if (kind === 'text') return value;
    const number = kind === 'number' ? Number(value) : NaN;
    if (!Number.isSafeInteger(number)) throw invalid();
    return number;
  };

  const root = section(0);
  if (next.done !== true) throw invalid();
  return root;
}

function invalid(): Doubt {
  return new Doubt("its volume group's metadata cannot be read");
}

function* tokensOf(text: string): Generator<Token, undefined> {
  const matcher = new RegExp(token);
  while (matcher.lastIndex < text.length) {
    const groups = matcher.exec(text)?.groups;
    if (groups === undefined) throw invalid();
    const { text: quoted, number, name, mark } = groups;
    if (quoted !== undefined) yield { kind: 'text', value: quoted.slice(1, -1).replaceAll(/\\(.)/gs, '$1') };
    else if (number !== undefined) yield { kind: 'number', value: number };
    else if (name !== undefined) yield { kind: 'name', value: name };
    else if (mark !== undefined) yield { kind: 'mark', value: mark };
  }
}
