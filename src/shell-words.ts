/** One simple command of a shell script. */
export interface ShellCommand {
  /** The line that it begins in; the first is 1. */
  line: number;
  words: readonly string[];
  /** Its first word that the shell would change: `$HOME/web.img`, `*.img`, `~/web.img`. Null when there is none. */
  expanded: string | null;
}

interface Word {
  text: string;
  isExpanded: boolean;
}

/**
 * Splits a text into simple commands and their words, as sh does (POSIX, Shell Command Language, 2.2 and 2.3). Quotes and
 * escapes are removed. Nothing is expanded or run; redirections and keywords are words like others. Returns null for a
 * quotation mark without its end.
 */
export function splitShell(text: string): ShellCommand[] | null {
  const commands: ShellCommand[] = [];
  let words: Word[] = [];
  let line = 1;
  let firstLine = 1;
  const end = () => {
    if (words.length > 0)
      commands.push({
        line: firstLine,
        words: words.map((word) => word.text),
        expanded: words.find((word) => word.isExpanded)?.text ?? null,
      });
    words = [];
  };
  let rest = text;
  while (rest !== '') {
    const [token] = tokens.exec(rest) ?? [];
    if (token === undefined) return null;
    rest = rest.slice(token.length);
    if (/^[\n;&|]/.test(token)) end();
    else if (!/^(?:[ \t\r#]|\\\n)/.test(token)) {
      if (words.length === 0) firstLine = line;
      words.push(readWord(token));
    }
    line += token.split('\n').length - 1;
  }
  end();
  return commands;
}

const part = String.raw`[^\s;&|"'\\]|\\[^\n]|'[^']*'|"(?:[^"\\]|\\[^])*"`;
/** An end of a command, a continued line, blanks, a comment, or a word. */
const tokens = new RegExp(
  String.raw`^(?:[\n;&|]|\\\n|[ \t\r]+|#[^\n]*|(?:(?!#)(?:${part})(?:${part}|\\\n)*))`,
);
const parts = new RegExp(String.raw`\\\n|${part}`, 'g');

function readWord(token: string): Word {
  let text = '';
  let isExpanded = false;
  for (const [piece] of token.matchAll(parts)) {
    if (piece === '\\\n') continue;
    if (piece.startsWith("'")) text += piece.slice(1, -1);
    else if (piece.startsWith('"')) {
      const inner = piece.slice(1, -1);
      isExpanded ||= /(?<!\\)[$`]/.test(inner);
      text += inner.replaceAll(/\\([$`"\\\n])/g, (_, escaped: string) => (escaped === '\n' ? '' : escaped));
    } else if (piece.startsWith('\\')) text += piece.slice(1);
    else {
      isExpanded ||= /[$`*?[]/.test(piece) || (piece === '~' && text === '');
      text += piece;
    }
  }
  return { text, isExpanded };
}
