import { damagedArchive } from '../codec/damaged-archive.ts';
import type { ByteReader } from '../codec/byte-reader.ts';
import { BLOCK_BYTES, checksumOf, paddingBytes } from './tar-header.ts';

/** No pax header of an archive comes near this size; a reader keeps it in memory. */
const LONGEST_PAX_BYTES = 64 * 1024;
/** The longest name, in bytes, of a file on Linux. */
const LONGEST_NAME_BYTES = 255;

/** A member's header, checked. */
export interface ReadHeader {
  /** A plain file name, without directories. */
  name: string;
  /** Bytes behind the header, without padding. */
  memberBytes: number;
  /** The size of the file when it is sparse (GNU's format 1.0): the member begins with a map then. Null: the member is the file. */
  sparseBytes: number | null;
}

const typeNames: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '5': 'a directory',
  '6': 'a FIFO',
  S: 'a sparse file in an old format of GNU tar (write it with: tar --format=posix -S)',
};

/**
 * Reads the next member's header; null at the end of the archive. Throws Failure `archive-damaged` for everything but a regular file
 * with a plain name.
 */
export async function readHeader(reader: ByteReader): Promise<ReadHeader | null> {
  let records = new Map<string, string>();
  let hasRecords = false;
  for (;;) {
    const block = await reader.take(BLOCK_BYTES);
    if (block === null) throw damagedArchive('ends too early');
    if (block.every((byte) => byte === 0)) {
      if (hasRecords) throw damagedArchive('has a pax header without a member');
      return null;
    }
    requireChecksum(block);
    const type = String.fromCharCode(block[156] ?? 0);
    const sizeBytes = octalAt(block, 124, 12);
    if (type === 'x' && !hasRecords) {
      records = await readRecords(reader, sizeBytes);
      hasRecords = true;
      continue;
    }
    // A global header: comments, as `git archive` and some tars write.
    if (type === 'g' && !hasRecords) {
      await readRecords(reader, sizeBytes);
      continue;
    }
    if (type !== '0' && type !== '\0')
      throw damagedArchive(`holds ${typeNames[type] ?? `a member of the type ${JSON.stringify(type)}`}`);
    return headerOf(nameIn(block), sizeBytes, records);
  }
}

function headerOf(ownName: string, ownBytes: number, records: ReadonlyMap<string, string>): ReadHeader {
  const size = records.get('size');
  const memberBytes = size === undefined ? ownBytes : numberOf(size);
  const sparseKeys = [...records.keys()].filter((key) => key.startsWith('GNU.sparse.'));
  if (sparseKeys.length === 0)
    return { name: plainName(records.get('path') ?? ownName), memberBytes, sparseBytes: null };
  if (records.get('GNU.sparse.major') !== '1' || records.get('GNU.sparse.minor') !== '0')
    throw damagedArchive('holds a sparse file in another format than 1.0');
  const name = plainName(records.get('GNU.sparse.name') ?? '');
  return { name, memberBytes, sparseBytes: numberOf(records.get('GNU.sparse.realsize') ?? '') };
}

function requireChecksum(block: Uint8Array): void {
  if (octalAt(block, 148, 8) !== checksumOf(block))
    throw damagedArchive('has a header with a wrong checksum, or is not a tar file');
}

function octalAt(block: Uint8Array, offset: number, length: number): number {
  if (((block[offset] ?? 0) & 0x80) !== 0) return binaryAt(block, offset, length);
  const text = textAt(block, offset, length).trim();
  const value = /^[0-7]{0,12}$/.test(text) ? Number.parseInt(text === '' ? '0' : text, 8) : NaN;
  if (!Number.isSafeInteger(value)) throw damagedArchive('has a header with something that is not a number');
  return value;
}

/** GNU's form of large numbers: 0x80 and the number as bytes, the highest first. */
function binaryAt(block: Uint8Array, offset: number, length: number): number {
  let value = 0n;
  for (const byte of block.subarray(offset + 1, offset + length)) value = (value << 8n) | BigInt(byte);
  if (block[offset] !== 0x80 || value > BigInt(Number.MAX_SAFE_INTEGER))
    throw damagedArchive('states a size that no file has');
  return Number(value);
}

function textAt(block: Uint8Array, offset: number, length: number): string {
  const field = Buffer.from(block.subarray(offset, offset + length));
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
}

function nameIn(block: Uint8Array): string {
  const isUstar = textAt(block, 257, 5) === 'ustar' && block[262] === 0;
  const prefix = isUstar ? textAt(block, 345, 155) : '';
  return `${prefix === '' ? '' : `${prefix}/`}${textAt(block, 0, 100)}`;
}

/** Reads a pax header's records. Throws Failure `archive-damaged` for one that is long, or not valid. */
async function readRecords(reader: ByteReader, sizeBytes: number): Promise<Map<string, string>> {
  if (sizeBytes > LONGEST_PAX_BYTES) throw damagedArchive(`has a pax header of ${sizeBytes} bytes`);
  const bytes = Buffer.from((await reader.take(sizeBytes + paddingBytes(sizeBytes))) ?? []);
  const records = new Map<string, string>();
  for (let start = 0; start < sizeBytes;) {
    const blank = bytes.indexOf(0x20, start);
    const digits = blank < 0 ? '' : bytes.subarray(start, blank).toString('latin1');
    const length = /^[1-9][0-9]{0,5}$/.test(digits) ? Number(digits) : NaN;
    const record = bytes.subarray(blank + 1, start + length).toString('utf8');
    const equals = record.indexOf('=');
    const fits = start + length <= sizeBytes && blank + 1 < start + length;
    if (!fits || equals < 1 || !record.endsWith('\n'))
      throw damagedArchive('has a pax header that is not valid');
    const key = record.slice(0, equals);
    if (records.has(key)) throw damagedArchive(`states ${JSON.stringify(key.slice(0, 40))} twice`);
    records.set(key, record.slice(equals + 1, -1));
    start += length;
  }
  return records;
}

function numberOf(text: string): number {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw damagedArchive('states a size that no file has');
  return value;
}

/** `tar -c .` puts `./` before names. */
function plainName(name: string): string {
  const plain = name.replace(/^(\.\/)+/, '');
  const isPlain =
    plain !== '' &&
    !plain.startsWith('.') &&
    !/[/\p{C}\uFFFD]/u.test(plain) &&
    Buffer.byteLength(plain) <= LONGEST_NAME_BYTES;
  if (!isPlain)
    throw damagedArchive(
      `holds a file named ${JSON.stringify(name.slice(0, 100))}, which is not a plain file name`,
    );
  return plain;
}
