import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { printableLine } from './printable.ts';

/** A function that asks a question on the terminal: true for yes, else false. Null if stdin is no terminal. */
export function confirmation(
  stdin: Readable & { isTTY?: boolean },
  stderr: Writable,
): ((question: string, signal: AbortSignal) => Promise<boolean>) | null {
  if (stdin.isTTY !== true) return null;
  return async (question, signal) => {
    const lines = createInterface({ input: stdin, output: stderr });
    try {
      return await new Promise<boolean>((resolve, reject) => {
        signal.throwIfAborted();
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        lines.once('close', () => resolve(false));
        lines.question(printableLine(question), (line) => resolve(line.trim().toLowerCase() === 'yes'));
      });
    } finally {
      lines.close();
    }
  };
}
