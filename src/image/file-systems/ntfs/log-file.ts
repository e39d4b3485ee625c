import { viewOf } from '../bounded-read.ts';
import { Doubt, Unclean } from '../doubt.ts';
import type { ReadAt } from '../../source/read-at.ts';
import { magicOf, unprotect } from './record.ts';

/*
 * The journal of NTFS ($LogFile). It begins with two restart pages; the one with the higher number counts. Sources: ntfs-3g,
 * include/ntfs-3g/logfile.h, libntfs-3g/logfile.c (ntfs_is_logfile_clean).
 */

/** Windows makes none that is larger. */
const MOST_BYTES = 2 ** 32;
const PIECE_BYTES = 2 ** 18;
const HEAD_BYTES = 512;
const NO_CLIENT = 0xffff;
const VOLUME_IS_CLEAN = 2;

/** Throws Doubt unless nothing in the journal waits to be done. */
export function requireCleanLog(read: ReadAt, sizeBytes: number): void {
  if (sizeBytes < 2 * HEAD_BYTES || sizeBytes > MOST_BYTES) throw new Doubt('its journal is not valid');
  if (isEmpty(read, sizeBytes)) return;
  const first = readPage(read, 0, sizeBytes);
  const second = readPage(read, first.pageBytes, sizeBytes);
  if (second.pageBytes !== first.pageBytes) throw new Doubt('its journal is not valid');
  const { isClean } = second.number > first.number ? second : first;
  if (!isClean) throw new Unclean('its journal must be replayed first');
}

/** A new journal, or one that ntfs-3g has emptied, is all ones. */
function isEmpty(read: ReadAt, sizeBytes: number): boolean {
  const ones = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes)).fill(0xff);
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, sizeBytes - at);
    if (Buffer.compare(read(at, length), ones.subarray(0, length)) !== 0) return false;
  }
  return true;
}

interface RestartPage {
  pageBytes: number;
  number: bigint;
  isClean: boolean;
}

function readPage(read: ReadAt, at: number, sizeBytes: number): RestartPage {
  const head = read(at, HEAD_BYTES);
  const pageBytes = viewOf(head).getUint32(16, true);
  const isSize = pageBytes >= 4096 && pageBytes <= 65_536 && Number.isInteger(Math.log2(pageBytes));
  if (magicOf(head) !== 'RSTR' || !isSize || at + pageBytes > sizeBytes)
    throw new Doubt('its journal is not valid');
  const page = read(at, pageBytes);
  unprotect(page, 'RSTR');
  const fields = viewOf(page);
  // Windows uses version 2 while it keeps metadata of the volume for its next start, and returns to version 1 when it has written them.
  if (fields.getInt16(28, true) !== 1) throw new Unclean('Windows may keep some of its metadata elsewhere');
  const area = fields.getUint16(24, true);
  if (area < 32 || area + 16 > HEAD_BYTES) throw new Doubt('its journal is not valid');
  const usedBy = fields.getUint16(area + 12, true);
  const flags = fields.getUint16(area + 14, true);
  return {
    pageBytes,
    number: fields.getBigUint64(area, true),
    isClean: usedBy === NO_CLIENT || (flags & VOLUME_IS_CLEAN) !== 0,
  };
}
