import { createInterface } from 'node:readline';
import { Writable, type Readable } from 'node:stream';
import { Failure } from '../../failure.ts';
import { printableLine } from './printable.ts';

/**
 * Asks for secrets on the terminal that stdin is: what is typed is not shown. Null when stdin is none. What it gives
 * throws Failure `interrupted` for Ctrl-C, `key-missing` for the end of input, and the signal's reason.
 */
export function terminalPrompt(
  stdin: Readable & { isTTY?: boolean },
  stderr: Writable,
): ((question: string, signal: AbortSignal) => Promise<string>) | null {
  if (stdin.isTTY !== true) return null;
  return (question, signal) => askUnseen(stdin, stderr, question, signal);
}

function askUnseen(
  stdin: Readable,
  stderr: Writable,
  question: string,
  signal: AbortSignal,
): Promise<string> {
  const nowhere = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  // As a terminal, so that it reads key by key and the terminal itself shows nothing.
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason as Error);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    lines.once('line', resolve);
    // The terminal sends no signal while keys are read one by one.
    lines.once('SIGINT', () => {
      reject(new Failure('interrupted', 'It was interrupted (Ctrl-C).'));
    });
    lines.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Failure('key-missing', 'The passphrase was not typed: the input ended.'));
    });
    stderr.write(printableLine(question));
  }).finally(() => {
    lines.close();
    stderr.write('\n');
  });
}
