import { Failure } from '../../../failure.ts';
import { controlCharacter } from '../../../unprintable.ts';

/** The bytes of an image file, for the readers of headers. */
export interface HeaderFile {
  path: string;
  sizeBytes: number;
  /** Fewer bytes at the end of the file, and none beyond it. */
  read(offset: number, length: number): Uint8Array;
}

/** No header, and no table that is read, has more bytes. */
const LONGEST_BYTES = 1024 * 1024;

/** A part of a header. Offsets are from its beginning; a field outside of it is a Failure `image-not-a-disk`. */
export class Fields {
  readonly #path: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(path: string, bytes: Uint8Array) {
    this.#path = path;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#bytes.length;
  }

  u8(at: number): number {
    return this.#at(at, 1).getUint8(at);
  }

  u16(at: number, order: 'big' | 'little'): number {
    return this.#at(at, 2).getUint16(at, order === 'little');
  }

  u32(at: number, order: 'big' | 'little'): number {
    return this.#at(at, 4).getUint32(at, order === 'little');
  }

  /** Throws also for a number that no size or offset has. */
  u64(at: number, order: 'big' | 'little'): number {
    const value = this.bits64(at, order);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damagedHeader(this.#path);
    return Number(value);
  }

  bits64(at: number, order: 'big' | 'little'): bigint {
    return this.#at(at, 8).getBigUint64(at, order === 'little');
  }

  bytes(at: number, length: number): Uint8Array {
    this.#at(at, length);
    return this.#bytes.subarray(at, at + length);
  }

  /** One character for each byte. */
  latin1(at: number, length: number): string {
    return Buffer.from(this.bytes(at, length)).toString('latin1');
  }

  hex(at: number, length: number): string {
    return Buffer.from(this.bytes(at, length)).toString('hex');
  }

  #at(at: number, length: number): DataView {
    if (at < 0 || length < 0 || at + length > this.#bytes.length) throw damagedHeader(this.#path);
    return this.#view;
  }
}

/** Throws Failure `image-not-a-disk` where the file is too short. */
export function fieldsAt(file: HeaderFile, offset: number, length: number): Fields {
  if (length > LONGEST_BYTES || offset + length > file.sizeBytes) throw damagedHeader(file.path);
  const bytes = file.read(offset, length);
  if (bytes.length !== length) throw damagedHeader(file.path);
  return new Fields(file.path, bytes);
}

/** As `fieldsAt`, but gives what there is of it. */
export function fieldsUpTo(file: HeaderFile, offset: number, length: number): Fields {
  return new Fields(file.path, file.read(offset, Math.min(length, LONGEST_BYTES)));
}

export function damagedHeader(path: string): Failure {
  return new Failure('image-not-a-disk', `The header of ${path} is damaged, or cut off.`, {
    advice: 'It is probably a truncated copy: compare it with its original.',
  });
}

/** Something in the image that is never read. */
export function unsupportedImage(path: string, what: string, advice: string): Failure {
  return new Failure('image-unsupported', `${path} ${what}.`, { advice });
}

const characters = new TextDecoder('utf-8', { fatal: true });

/** A name or a format that is written in a header. Null if it is no text, or has control characters. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    const text = characters.decode(bytes);
    return controlCharacter.test(text) ? null : text;
  } catch {
    return null;
  }
}
