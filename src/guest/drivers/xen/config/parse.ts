import { ConfigSyntaxError } from './config-problem.ts';
import { scanConfig, type Token } from './scan.ts';

/** A single value: a string, or a number that is written without quotation marks. */
export interface Atom {
  kind: 'atom';
  text: string;
  isQuoted: boolean;
  line: number;
  from: number;
  to: number;
}

export interface List {
  kind: 'list';
  items: readonly Value[];
  line: number;
  from: number;
  to: number;
}

export type Value = Atom | List;

/** `key = value` or `key += value`. The offsets are those of the whole statement, without its newline. */
export interface Statement {
  key: string;
  isAddition: boolean;
  value: Value;
  line: number;
  from: number;
  to: number;
}

/** More than any real file has. */
const MOST_STATEMENTS = 500;
const MOST_ITEMS = 256;
/** Deeper lists than this are refused: xl has none that are deeper than three. */
const MOST_DEPTH = 8;

/**
 * The statements of a configuration in their order, by xl's grammar (libxlutil's parser, 4.17). Nothing is run: the file only
 * looks like Python. Throws ConfigSyntaxError with the line for what xl refuses.
 */
export function parseConfig(text: string): Statement[] {
  const tokens = new TokenReader(scanConfig(text));
  const statements: Statement[] = [];
  for (;;) {
    while (tokens.peek()?.kind === 'end') tokens.next();
    if (tokens.peek() === undefined) return statements;
    statements.push(parseStatement(tokens));
    if (statements.length > MOST_STATEMENTS)
      throw new ConfigSyntaxError(statements.at(-1)?.line ?? 1, 'the file has too many statements');
    const after = tokens.peek();
    if (after !== undefined && after.kind !== 'end') throw unexpected(after, 'after the value');
  }
}

class TokenReader {
  readonly #tokens: readonly Token[];
  #index = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#index];
  }

  /** The next token. Throws at the end of the file. */
  next(): Token {
    const token = this.#tokens[this.#index];
    if (token === undefined)
      throw new ConfigSyntaxError(this.#tokens.at(-1)?.line ?? 1, 'the file ends within a statement');
    if (token.kind === 'stranger') throw new ConfigSyntaxError(token.line, token.text);
    this.#index++;
    return token;
  }

  skipNewlines(): void {
    for (let token = this.peek(); token?.kind === 'end' && token.text !== ';'; token = this.peek())
      this.next();
  }
}

function parseStatement(tokens: TokenReader): Statement {
  const key = tokens.next();
  if (key.kind !== 'name') throw unexpected(key, 'where a key is expected');
  const sign = tokens.next();
  if (sign.kind !== '=' && sign.kind !== '+=')
    throw unexpected(sign, `after ${key.text}, where = is expected`);
  const value = parseValue(tokens, 0);
  return {
    key: key.text,
    isAddition: sign.kind === '+=',
    value,
    line: key.line,
    from: key.from,
    to: value.to,
  };
}

function parseValue(tokens: TokenReader, depth: number): Value {
  const first = tokens.next();
  if (first.kind === 'string' || first.kind === 'number') {
    const { text, line, from, to } = first;
    return { kind: 'atom', text, isQuoted: first.kind === 'string', line, from, to };
  }
  if (first.kind !== '[') throw unexpected(first, 'where a value is expected');
  if (depth >= MOST_DEPTH) throw new ConfigSyntaxError(first.line, 'lists are too deep in each other');
  return parseList(first, tokens, depth);
}

function parseList(opening: Token, tokens: TokenReader, depth: number): List {
  const items: Value[] = [];
  tokens.skipNewlines();
  while (tokens.peek()?.kind !== ']') {
    items.push(parseValue(tokens, depth + 1));
    if (items.length > MOST_ITEMS) throw new ConfigSyntaxError(opening.line, 'the list is too long');
    tokens.skipNewlines();
    const token = tokens.peek();
    if (token?.kind === ']') break;
    const comma = tokens.next();
    if (comma.kind !== ',') throw unexpected(comma, 'in a list, where a comma or ] is expected');
    tokens.skipNewlines();
  }
  const closing = tokens.next();
  return { kind: 'list', items, line: opening.line, from: opening.from, to: closing.to };
}

function unexpected(token: Token, place: string): ConfigSyntaxError {
  if (token.kind === 'stranger') return new ConfigSyntaxError(token.line, token.text);
  if (token.kind === 'end' && token.text !== ';')
    return new ConfigSyntaxError(token.line, `the line ends ${place.replace(/, where .*$/, '')}`);
  const shown = token.kind === 'string' ? 'a string' : token.text;
  return new ConfigSyntaxError(token.line, `${shown} ${place}`);
}
