import { connect, type Socket } from 'node:net';
import { errorCode } from '../../../../system/error-code.ts';

/** More than the longest answer: a description of all block devices of a guest takes some 100 KiB. */
const MOST_LINE_BYTES = 8 * 2 ** 20;
const NEWLINE = 0x0a;
/** The guest's agent puts it before an answer, to end whatever stood in the line before (QGA protocol, guest-sync-delimited). */
const DELIMITER = 0xff;

/** What became of a connection; never shown without a sentence around it. */
export class SocketError extends Error {}

/** Lines of text over a Unix socket. The other side is not trusted: lines are bounded, and each wait has a limit. */
export class LineSocket {
  readonly #socket: Socket;
  readonly #onLine: (line: string) => void;
  readonly #onEnd: (reason: string) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #ending: string | null = null;

  private constructor(socket: Socket, onLine: (line: string) => void, onEnd: (reason: string) => void) {
    this.#socket = socket;
    this.#onLine = onLine;
    this.#onEnd = onEnd;
    socket.on('data', (data: Buffer) => this.#receive(data));
    socket.on('error', (error) => this.#end(errorCode(error) || 'an error'));
    socket.on('close', () => this.#end('it was closed'));
  }

  /** Throws SocketError when nothing accepts the connection in time. A path that begins with NUL is abstract (unix(7)). */
  static open(
    path: string,
    timeoutMs: number,
    onLine: (line: string) => void,
    onEnd: (reason: string) => void,
  ): Promise<LineSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new SocketError('nothing accepts the connection'));
      }, timeoutMs);
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(new SocketError(errorCode(error)));
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve(new LineSocket(socket, onLine, onEnd));
      });
    });
  }

  /** Null while it is open. */
  get ending(): string | null {
    return this.#ending;
  }

  send(data: string | Uint8Array): void {
    if (this.#ending === null) this.#socket.write(data);
  }

  close(): void {
    this.#end('it was closed here');
  }

  #end(reason: string): void {
    if (this.#ending !== null) return;
    this.#ending = reason;
    this.#socket.destroy();
    this.#onEnd(reason);
  }

  #receive(data: Buffer): void {
    let start = 0;
    for (let at = 0; at < data.length && this.#ending === null; at++) {
      const byte = data[at];
      if (byte !== NEWLINE && byte !== DELIMITER) continue;
      this.#parts.push(data.subarray(start, at));
      const line = Buffer.concat(this.#parts).toString('utf8').trim();
      this.#parts = [];
      this.#bytes = 0;
      start = at + 1;
      if (byte === NEWLINE && line !== '') this.#onLine(line);
    }
    const rest = data.subarray(start);
    this.#bytes += rest.length;
    if (this.#bytes > MOST_LINE_BYTES) this.#end('it sent a line without end');
    else if (rest.length > 0) this.#parts.push(rest);
  }
}
