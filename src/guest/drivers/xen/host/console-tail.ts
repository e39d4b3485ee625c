import { closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../../system/processes.ts';
import { errorCode } from '../../../../system/error-code.ts';
import { findProgram, type XenHost } from './host.ts';

const READ_BYTES = 65_536;
/** So much of a console is looked at and copied while a guest starts. */
const MOST_BYTES = 4 * 2 ** 20;

/**
 * What a guest's console prints while it starts: from the log of xenconsoled, or, if it keeps none, from the guest's terminal. The
 * text is appended to a file, too.
 */
export class ConsoleTail implements Disposable {
  text = '';
  readonly #copy: string;
  readonly #log: string;
  #offset: number;
  #terminal: number | null = null;
  #bytes = 0;

  constructor(host: XenHost, name: string, copy: string) {
    this.#log = consoleLogOf(host, name);
    this.#offset = sizeOf(this.#log);
    this.#copy = copy;
  }

  /** Reads what is new. `domid`: the domain whose terminal is read if there is no log. */
  async read(host: XenHost, domid: number): Promise<void> {
    // xenconsoled begins a new log when the old one is moved away.
    if (sizeOf(this.#log) < this.#offset) this.#offset = 0;
    const found = existsSync(this.#log) ? this.#readLog() : await this.#readTerminal(host, domid);
    if (found === '') return;
    this.text += found;
    await appendFile(this.#copy, found, { mode: 0o600 });
  }

  #readLog(): string {
    const fd = openSync(this.#log, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const text = this.#drain(fd, this.#offset);
      this.#offset += text.length;
      return text;
    } finally {
      closeSync(fd);
    }
  }

  async #readTerminal(host: XenHost, domid: number): Promise<string> {
    this.#terminal ??= await openTerminal(host, domid);
    return this.#terminal === null ? '' : this.#drain(this.#terminal, null);
  }

  /** Bytes as Latin-1: their number is needed. */
  #drain(fd: number, from: number | null): string {
    const buffer = Buffer.alloc(READ_BYTES);
    let text = '';
    while (this.#bytes < MOST_BYTES) {
      const count = readAt(fd, buffer, from === null ? null : from + text.length);
      if (count === 0) break;
      this.#bytes += count;
      text += buffer.toString('latin1', 0, count);
    }
    return text;
  }

  [Symbol.dispose](): void {
    if (this.#terminal !== null) closeSync(this.#terminal);
    this.#terminal = null;
  }
}

/** The log that xenconsoled writes if it was started with --log=guest. */
export function consoleLogOf(host: Pick<XenHost, 'consoleDirectory'>, name: string): string {
  return join(host.consoleDirectory, `guest-${name}.log`);
}

export function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}

/** The guest's end of its console; xenstore has its path. It is only read from, and never becomes this process's terminal. */
async function openTerminal(host: XenHost, domid: number): Promise<number | null> {
  const program = findProgram(host, 'xenstore-read');
  if (program === null) return null;
  const { stdout } = await run(program, [`/local/domain/${domid}/console/tty`], {
    env: host.environment,
    timeoutMs: 10_000,
  });
  const path = stdout.trim();
  if (!/^\/dev\/pts\/\d+$/.test(path)) return null;
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

function readAt(fd: number, buffer: Buffer, position: number | null): number {
  try {
    return readSync(fd, buffer, 0, buffer.length, position);
  } catch (error) {
    // EAGAIN: a terminal has nothing new. EIO: its other end is closed.
    if (['EAGAIN', 'EIO'].includes(errorCode(error))) return 0;
    throw error;
  }
}
