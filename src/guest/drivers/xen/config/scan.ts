import { ConfigSyntaxError } from './config-problem.ts';

/** The longest text that is read. xl itself reads at most 256 KiB (MAX_CONFIG_BYTES in tools/xl). */
export const MOST_CONFIG_CHARACTERS = 262_144;

export interface Token {
  kind: 'name' | 'number' | 'string' | '=' | '+=' | ',' | '[' | ']' | 'end' | 'stranger';
  /**
   * For a string its value, without quotation marks and escapes; for a stranger why xl refuses it; else the text itself. `end` is
   * a newline or a semicolon.
   */
  text: string;
  line: number;
  /** Offsets in the text, `to` excluded. */
  from: number;
  to: number;
}

/** What a backslash and this character stand for. */
const escapes: Readonly<Record<string, string>> = {
  "'": "'",
  '"': '"',
  '\\': '\\',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

const patterns: readonly [RegExp, (match: string) => Token['kind'] | null][] = [
  [/[ \t]+/y, () => null],
  [/#[^\n]*\n|\n|;/y, () => 'end'],
  [/[a-z][_0-9a-z]*/y, () => 'name'],
  [/[0-9][0-9a-fx]*/y, () => 'number'],
  [/\+=/y, () => '+='],
  [/[[\],=]/y, (match) => match as '[' | ']' | ',' | '='],
  [/'[^'\\\n]*(?:\\[^\n][^'\\\n]*)*'|"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"/y, () => 'string'],
];

/**
 * Cuts a configuration into tokens, as xl does (xl.cfg(5); the lexer of Xen's libxlutil, 4.17). Ends with a token `stranger` where
 * xl refuses the text: what is wrong before that is told first. Throws ConfigSyntaxError if the text is too long.
 */
export function scanConfig(text: string): Token[] {
  if (text.length > MOST_CONFIG_CHARACTERS) throw new ConfigSyntaxError(1, 'the file is too long');
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length;) {
    const found = matchAt(text, at);
    if (found === null) {
      tokens.push({ kind: 'stranger', text: describeStranger(text, at), line, from: at, to: text.length });
      break;
    }
    const [match, kind] = found;
    const to = at + match.length;
    if (kind === 'string') {
      const value = unquote(match);
      tokens.push({ kind: value.isRefused ? 'stranger' : kind, text: value.text, line, from: at, to });
    } else if (kind !== null) tokens.push({ kind, text: match, line, from: at, to });
    if (match.endsWith('\n')) line++;
    at = to;
  }
  return tokens;
}

function matchAt(text: string, at: number): [string, Token['kind'] | null] | null {
  for (const [pattern, kindOf] of patterns) {
    pattern.lastIndex = at;
    const match = pattern.exec(text)?.[0];
    if (match !== undefined) return [match, kindOf(match)];
  }
  return null;
}

/** The value of a string; or, if xl refuses it, why. */
function unquote(quoted: string): { text: string; isRefused: boolean } {
  if (quoted.includes('\0')) return { text: 'a NUL character in a string', isRefused: true };
  let unknown: string | undefined;
  const text = quoted.slice(1, -1).replaceAll(/\\([^\n])/gu, (whole, character: string) => {
    const value = escapes[character];
    if (value === undefined) unknown ??= whole;
    return value ?? '';
  });
  if (unknown === undefined) return { text, isRefused: false };
  return { text: `a string with ${unknown}, which xl does not take`, isRefused: true };
}

/** What xl refuses, in the words of a person who looks at the line. */
function describeStranger(text: string, at: number): string {
  const rest = text.slice(at, at + 200);
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  if (character === '\r') return 'it ends with a carriage return, as files from Windows do';
  if (character === '\uFEFF') return 'the file begins with a byte order mark';
  if (character === '#') return 'a comment at the end of the file has no newline after it';
  if (character === '\\') return 'a backslash outside of a string: a statement cannot go on in the next line';
  if (character === "'" || character === '"') return 'a string is not closed in its line';
  const word = /^[A-Za-z_][\w.]*/.exec(rest)?.[0];
  if (word !== undefined) return `${word} is neither a key, which has lower-case letters, nor a value`;
  if (/^[+\-.():{}%*/<>!]/.test(rest))
    return `the character ${character} outside of a string (Python, which only xm could run?)`;
  return `an unexpected character (code ${character.codePointAt(0)})`;
}

/** A text as a string for xl: with double quotation marks, and escapes where needed. */
export function quoteForXl(text: string, mark: '"' | "'" = '"'): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(mark, `\\${mark}`)
    .replaceAll('\n', String.raw`\n`);
  return `${mark}${escaped}${mark}`;
}
