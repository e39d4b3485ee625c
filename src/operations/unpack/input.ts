import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { errorCode, errorMessage } from '../../system/error-code.ts';
import type { ConnectOptions, SshConnection } from '../../store/sftp/ssh-connection.ts';
import { placeText, type FilePlace } from './file-place.ts';

export interface FileDependencies {
  connect: (destination: string, options: ConnectOptions, context: Context) => Promise<SshConnection>;
}

/** Where an archive or a compressed image is: in a file, here or on another machine, or on standard input. */
export type InputSource = FilePlace | Readable;

/** For people. */
export function inputText(source: InputSource): string {
  return source instanceof Readable ? 'standard input' : placeText(source);
}

/** An archive or a compressed image, as it is read. */
export interface UnpackInput extends AsyncDisposable {
  /** For people. */
  path: string;
  /** The file's name; null for a stream. */
  name: string | null;
  /** Null where it is not known. */
  sizeBytes: number | null;
  /** A piece is valid until the next one is asked for. */
  pieces: AsyncIterable<Uint8Array>;
}

const PIECE_BYTES = 2 ** 20;

/**
 * Throws as `openInputFile` and `SshConnection.openFile`, and Failure `usage` for a terminal.
 * @param onRead called with the bytes that were read since the last call
 */
export async function openInput(
  source: InputSource,
  { connect }: FileDependencies,
  onRead: (bytes: number) => void,
  context: Context,
): Promise<UnpackInput> {
  const { signal } = context;
  if (source instanceof Readable) return openInputStream(source, signal, onRead);
  const { path, host } = source;
  if (host === null) return openInputFile(path, signal, onRead);
  const connection = await connect(host.destination, host, context);
  try {
    const { sizeBytes, pieces } = await connection.openFile(path, signal);
    return {
      path: inputText(source),
      name: basename(path),
      sizeBytes,
      pieces: counted(pieces, onRead),
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    onRead(piece.length);
    yield piece;
  }
}

/** A file, or whatever else can be read to its end. Throws Failure `image-missing` or `image-unreadable`; its pieces throw `read-failed`. */
async function openInputFile(
  path: string,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): Promise<UnpackInput> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR')
      throw new Failure('image-missing', `There is no archive at ${path}.`, {
        advice: 'Check the path; a relative path starts at the current directory.',
        cause: error,
      });
    throw new Failure('image-unreadable', `The archive ${path} cannot be opened: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
  const stats = await file.stat();
  if (stats.isDirectory()) {
    await file.close();
    throw new Failure('image-unreadable', `${path} is a directory, not an archive.`);
  }
  return {
    path,
    name: basename(path),
    sizeBytes: stats.isFile() ? stats.size : null,
    pieces: readFile(file, path, signal, onRead),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function* readFile(
  file: FileHandle,
  path: string,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const memory = Buffer.allocUnsafeSlow(PIECE_BYTES);
  for (;;) {
    signal.throwIfAborted();
    let count: number;
    try {
      count = (await file.read(memory, 0, memory.length, null)).bytesRead;
    } catch (cause) {
      throw new Failure('read-failed', `The archive ${path} cannot be read: ${errorMessage(cause)}.`, {
        cause,
      });
    }
    if (count === 0) return;
    onRead(count);
    yield memory.subarray(0, count);
  }
}

function openInputStream(
  stream: Readable & { isTTY?: boolean },
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): UnpackInput {
  if (stream.isTTY === true)
    throw new Failure('usage', 'An archive is not read from a terminal.', { advice: 'Name the file.' });
  return {
    path: inputText(stream),
    name: null,
    sizeBytes: null,
    pieces: readStream(addAbortSignal(signal, stream), signal, onRead),
    [Symbol.asyncDispose]: () => {
      stream.destroy();
      return Promise.resolve();
    },
  };
}

async function* readStream(
  stream: Readable,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of stream as AsyncIterable<Uint8Array>) {
      onRead(piece.length);
      yield piece;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
