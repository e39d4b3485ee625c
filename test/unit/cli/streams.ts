import { Writable } from 'node:stream';

/** A stream that records what is written to it. */
export class MemoryStream extends Writable {
  text = '';
  isTTY?: boolean;
  columns?: number;

  override _write(data: Buffer, _encoding: string, done: () => void): void {
    this.text += data.toString();
    done();
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}

/** What a terminal would show after this output. Knows only the sequences that vmferry uses. */
export function screenOf(written: string): string[] {
  const lines = [''];
  let column = 0;
  // oxlint-disable-next-line no-control-regex -- escape sequences are what it reads
  for (const [token] of written.matchAll(/\u001b\[[\d;?]*[A-Za-z]|\u001b[78]|[^]/g)) {
    const row = lines.length - 1;
    const line = lines[row] ?? '';
    if (token === '\n') [lines[row + 1], column] = ['', 0];
    else if (token === '\r' || token === '\u001b[1G') column = 0;
    else if (token === '\u001b[2K') lines[row] = '';
    else if (token === '\u001b[0K') lines[row] = line.slice(0, column);
    else if (!token.startsWith('\u001b')) {
      lines[row] = line.slice(0, column).padEnd(column) + token + line.slice(column + 1);
      column++;
    }
  }
  return lines.map((line) => line.trimEnd());
}
