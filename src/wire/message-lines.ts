import { Failure } from '../failure.ts';
import { LINE_LIMIT_BYTES } from './messages.ts';

/**
 * Cuts a stream of bytes into lines of text. Text after the last line's end is dropped. Throws Failure
 * `protocol-violation` for a line that is too long.
 */
export async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of source) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (Math.max(rest.length, ...lines.map((line) => line.length)) > LINE_LIMIT_BYTES)
      throw new Failure('protocol-violation', 'The other machine sent a line of more than 1 MiB.');
    yield* lines;
  }
}
