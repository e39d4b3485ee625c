import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { errorCode } from '../error-code.ts';

export interface ScanOptions {
  /** More output ends the program: it may be made to be endless. */
  limitBytes: number;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Runs a program that reads a file from its standard input, and hands on its output piece by piece, so that its size
 * does not matter. Returns whether all of it was seen: false if the program is not installed, failed, took too long, or
 * printed too much. Throws the signal's reason when aborted.
 */
export async function scanOutput(
  program: string,
  args: readonly string[],
  inputFd: number,
  onData: (piece: Buffer) => void,
  { limitBytes, timeoutMs, signal }: ScanOptions,
): Promise<boolean> {
  const child = spawn(program, args, {
    // A session of its own, so that Ctrl-C reaches only vmferry itself.
    detached: true,
    stdio: [inputFd, 'pipe', 'ignore'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    signal,
  });
  let seenBytes = 0;
  child.stdout?.on('data', (piece: Buffer) => {
    seenBytes += piece.length;
    if (seenBytes > limitBytes) child.kill('SIGKILL');
    else onData(piece);
  });
  try {
    const [exitStatus] = (await once(child, 'close')) as [number | null];
    return exitStatus === 0 && seenBytes <= limitBytes;
  } catch (error) {
    signal.throwIfAborted();
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EACCES') return false;
    throw error;
  }
}
