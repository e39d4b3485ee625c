import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import type { NtfsLayout } from './boot-sector.ts';

/*
 * Records of the master file table, and their attributes. Sources: Linux, fs/ntfs3/ntfs.h (struct MFT_REC, struct ATTRIB), fs/ntfs3/run.c
 * (run_unpack); ntfs-3g, libntfs-3g/mst.c.
 */

/** The last two bytes of each piece of this length are kept elsewhere, and replaced by a number: torn writes are noticed. */
const PROTECTED_BYTES = 512;
const END = 0xffffffff;
const IN_USE = 1;

export const attributeType = {
  list: 0x20,
  fileName: 0x30,
  volumeInformation: 0x70,
  data: 0x80,
} as const;

export interface Run {
  cluster: number;
  count: number;
}

export interface Attribute {
  type: number;
  /** The attribute of a file's content has none. */
  hasName: boolean;
  /** Compressed, sparse, encrypted. */
  flags: number;
  content: { kind: 'resident'; bytes: Uint8Array } | NonResident;
}

export interface NonResident {
  kind: 'clusters';
  /** The first cluster of the file that it describes: 0 unless it is continued from another record. */
  first: number;
  /** Sparse runs are left out. */
  runs: readonly Run[];
  isSparse: boolean;
  /** In bytes; 0 in a continuation. */
  size: number;
  initialized: number;
}

/** Undoes the protection in place. Throws Doubt if it is broken, or the bytes do not begin with the magic word. */
export function unprotect(bytes: Uint8Array, magic: string): void {
  const fields = viewOf(bytes);
  const [at, count] = [fields.getUint16(4, true), fields.getUint16(6, true)];
  const pieces = bytes.length / PROTECTED_BYTES;
  const isValid =
    magicOf(bytes) === magic &&
    at % 2 === 0 &&
    at >= 8 &&
    count === pieces + 1 &&
    at + count * 2 < PROTECTED_BYTES;
  if (!isValid) throw new Doubt(`a record of it is not valid (${magic})`);
  const mark = fields.getUint16(at, true);
  for (let piece = 1; piece <= pieces; piece++) {
    const end = piece * PROTECTED_BYTES - 2;
    if (fields.getUint16(end, true) !== mark) throw new Doubt('a record of it was not written completely');
    fields.setUint16(end, fields.getUint16(at + piece * 2, true), true);
  }
}

export function magicOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 4));
}

/** Whether a record, protected or not, belongs to a file. */
export function isInUse(record: Uint8Array): boolean {
  return (viewOf(record).getUint16(22, true) & IN_USE) !== 0;
}

/** The attributes of an unprotected record. Throws Doubt. */
export function attributesOf(record: Uint8Array, layout: NtfsLayout): Attribute[] {
  const fields = viewOf(record);
  const bytesInUse = fields.getUint32(24, true);
  const invalid = (): Doubt => new Doubt('a record of it has attributes that are not valid');
  if (bytesInUse > record.length) throw invalid();
  const attributes: Attribute[] = [];
  let at = fields.getUint16(20, true);
  for (;;) {
    if (at % 8 !== 0 || at < 42 || at + 4 > bytesInUse) throw invalid();
    const type = fields.getUint32(at, true);
    if (type === END) return attributes;
    if (at + 24 > bytesInUse) throw invalid();
    const length = fields.getUint32(at + 4, true);
    if (length < 24 || length > bytesInUse - at) throw invalid();
    attributes.push(readAttribute(record.subarray(at, at + length), layout, invalid));
    at += length;
  }
}

function readAttribute(bytes: Uint8Array, layout: NtfsLayout, invalid: () => Doubt): Attribute {
  const fields = viewOf(bytes);
  const isResident = fields.getUint8(8) === 0;
  const head = {
    type: fields.getUint32(0, true),
    hasName: fields.getUint8(9) > 0,
    flags: fields.getUint16(12, true),
  };
  if (isResident) {
    const [length, at] = [fields.getUint32(16, true), fields.getUint16(20, true)];
    if (at + length > bytes.length) throw invalid();
    return { ...head, content: { kind: 'resident', bytes: bytes.subarray(at, at + length) } };
  }
  if (bytes.length < 64) throw invalid();
  const number = (at: number): number => {
    const value = fields.getBigInt64(at, true);
    // The last cluster of an empty attribute is -1.
    if (value < -1n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid();
    return Number(value);
  };
  const first = number(16);
  const clusters = number(24) + 1 - first;
  const { runs, total, isSparse } = readRuns(bytes.subarray(fields.getUint16(32, true)), layout, invalid);
  if (first < 0 || total !== clusters) throw invalid();
  const [size, initialized] = first === 0 ? [number(48), number(56)] : [0, 0];
  return { ...head, content: { kind: 'clusters', first, runs, isSparse, size, initialized } };
}

/** Runs are packed: the lengths of two numbers, how many clusters, and how far from the run before. */
function readRuns(
  packed: Uint8Array,
  { clusterCount }: NtfsLayout,
  invalid: () => Doubt,
): { runs: Run[]; total: number; isSparse: boolean } {
  const runs: Run[] = [];
  let [at, total, cluster, isSparse] = [0, 0, 0, false];
  for (;;) {
    const header = packed[at];
    if (header === undefined) throw invalid();
    if (header === 0) return { runs, total, isSparse };
    const [countBytes, stepBytes] = [header & 15, header >> 4];
    const end = at + 1 + countBytes + stepBytes;
    // Seven bytes are more than what any number here needs.
    if (countBytes === 0 || countBytes > 7 || stepBytes > 7 || end > packed.length) throw invalid();
    const count = signed(packed.subarray(at + 1, at + 1 + countBytes));
    if (count <= 0) throw invalid();
    total += count;
    if (!Number.isSafeInteger(total)) throw invalid();
    if (stepBytes === 0) isSparse = true;
    else {
      cluster += signed(packed.subarray(at + 1 + countBytes, end));
      if (cluster < 0 || cluster + count > clusterCount) throw invalid();
      runs.push({ cluster, count });
    }
    at = end;
  }
}

function signed(bytes: Uint8Array): number {
  let value = ((bytes.at(-1) ?? 0) << 24) >> 24;
  for (let index = bytes.length - 2; index >= 0; index--) value = value * 256 + (bytes[index] ?? 0);
  return value;
}
