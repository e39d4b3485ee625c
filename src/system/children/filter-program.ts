import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';

/** A program that was to read all of its input and to write its output failed. */
export class FilterError extends Error {
  /** What it printed as errors, cut to a few KB. */
  readonly stderr: string;

  constructor(program: string, exitStatus: number | null, stderr: string) {
    super(`${program} ended with status ${exitStatus ?? 'of a signal'}: ${stderr}`);
    this.name = 'FilterError';
    this.stderr = stderr;
  }
}

const LONGEST_STDERR = 4096;

/**
 * Gives the pieces to a program's standard input, and yields what it prints. A piece may be overwritten when the next one is asked for.
 * Throws `FilterError` unless the program ends with status 0, the error of `pieces`, and the signal's reason. The program ends when the
 * consumer stops.
 */
export async function* filterThrough(
  [program, ...args]: readonly [string, ...string[]],
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal.throwIfAborted();
  // A session of its own, so that Ctrl-C reaches only vmferry itself.
  const child = spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env: process.env });
  const closed = once(child, 'close') as Promise<[number | null]>;
  closed.catch(() => undefined);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < LONGEST_STDERR) stderr += text.slice(0, LONGEST_STDERR);
  });
  // A program that ends early says so by its exit status.
  child.stdin.on('error', () => undefined);
  const end = () => void child.kill('SIGKILL');
  signal.addEventListener('abort', end, { once: true });
  let feedError: { error: unknown } | null = null;
  const feeding = (async () => {
    try {
      for await (const piece of pieces) {
        if (!child.stdin.writable) break;
        if (piece.length > 0) await new Promise((resolve) => child.stdin.write(piece, resolve));
      }
    } catch (error) {
      feedError = { error };
      end();
    }
    child.stdin.end();
  })();
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const [exitStatus] = await closed;
    await feeding;
    signal.throwIfAborted();
    if (feedError !== null) throw (feedError as { error: unknown }).error;
    if (exitStatus !== 0) throw new FilterError(program, exitStatus, stderr.trim());
  } finally {
    signal.removeEventListener('abort', end);
    end();
    child.stdin.destroy();
    // The source of the pieces may wait for its next one, and ends by the signal.
    await closed.catch(() => undefined);
  }
}
