import { createInterface } from 'node:readline';
import { Writable, type Readable } from 'node:stream';
import { Failure } from '../../failure.ts';
import { printableLine } from './printable.ts';

/**
 * A function that asks for a secret on the terminal without showing what is typed; null if stdin is no terminal. The
 * function throws Failure `interrupted` for Ctrl-C, `key-missing` for the end of input, and the signal's reason.
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
  // In terminal mode readline reads key by key, and the terminal does not echo them.
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason as Error);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    lines.once('line', resolve);
    // In this mode Ctrl-C sends no signal to the process.
    lines.once('SIGINT', () => {
      reject(new Failure('interrupted', 'Interrupted (Ctrl-C).'));
    });
    lines.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Failure('key-missing', 'No passphrase was typed: the input ended.'));
    });
    stderr.write(printableLine(question));
  }).finally(() => {
    lines.close();
    stderr.write('\n');
  });
}
