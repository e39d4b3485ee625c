import { Failure } from '../failure.ts';
import { LINE_LIMIT_BYTES } from './messages.ts';

/**
 * Cuts a stream of bytes into lines of text; what comes after the last line's end is part of no line and is left out.
 * Throws Failure `protocol-violation` for a line without end.
 */
export async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of source) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (Math.max(rest.length, ...lines.map((line) => line.length)) > LINE_LIMIT_BYTES)
      throw new Failure('protocol-violation', 'The other machine sent a line without end.');
    yield* lines;
  }
}
