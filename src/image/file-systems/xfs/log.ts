import { crc32c } from '../../../codec/crc.ts';
import { viewOf } from '../bounded-read.ts';
import { Doubt, Unclean } from '../doubt.ts';
import { hasUuid, logPlace, type XfsSuperblock } from './superblock.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The log of XFS: a ring of blocks of 512 bytes. The first number of each block is that of the round in which it was written
 * (the "cycle"), so the newest block is where the cycle falls by one. The log is clean if the newest record is the one of an
 * unmount. Source: Linux, fs/xfs/libxfs/xfs_log_format.h, and fs/xfs/xfs_log_recover.c, xlog_find_head and xlog_find_tail, which
 * find it as this does.
 */

const BLOCK_BYTES = 512;
const RECORD_MAGIC = 0xfeedbabe;
const MOST_RECORD_BYTES = 256 * 1024;
const HEADER_DATA_BYTES = 32 * 1024;
/** Behind the newest record a crash can leave later ones: as far as eight buffers of 256 KiB reach. */
const UNORDERED_BLOCKS = (8 * MOST_RECORD_BYTES) / BLOCK_BYTES;
const UNMOUNT_FLAG = 0x20;
const NIL_UUID = new Uint8Array(16);
/** struct xlog_rec_header: on 32-bit machines without the padding at its end. */
const headerSizes = [328, 324];

/** Throws Unclean unless the file system was unmounted, and Doubt if its log is not valid. */
export function requireCleanLog(read: ReadAt, superblock: XfsSuperblock): void {
  const log = new Log(read, superblock);
  const head = log.head();
  log.requireOrderAround(head);
  const record = log.lastRecordBefore(head);
  if (!log.isUnmount(record, head)) throw new Unclean('its log must be replayed first');
}

class Log {
  readonly #read: ReadAt;
  readonly #superblock: XfsSuperblock;
  readonly #offset: number;
  readonly #blockCount: number;

  constructor(read: ReadAt, superblock: XfsSuperblock) {
    this.#read = read;
    this.#superblock = superblock;
    this.#offset = logPlace(superblock).offset;
    this.#blockCount = (superblock.logBlocks * superblock.blockBytes) / BLOCK_BYTES;
  }

  /** The block behind the newest one. */
  head(): number {
    const [oldest, newest] = [this.#cycleOf(0), this.#cycleOf(this.#blockCount - 1)];
    if (oldest === 0) throw new Doubt('its log is empty');
    if (oldest === newest) return 0;
    if (oldest !== newest + 1) throw new Doubt('its log is not valid');
    let [before, at] = [0, this.#blockCount - 1];
    while (at - before > 1) {
      const middle = Math.floor((before + at) / 2);
      if (this.#cycleOf(middle) === newest) at = middle;
      else before = middle;
    }
    return at;
  }

  /** Blocks of another cycle than they must have would be of records that a crash has torn. */
  requireOrderAround(head: number): void {
    const cycle = this.#cycleBefore(head);
    const end = head === 0 ? this.#blockCount : head;
    const before = Math.min(UNORDERED_BLOCKS, end);
    const behind = Math.min(UNORDERED_BLOCKS, this.#blockCount - head);
    const isOrdered =
      this.#haveCycle(end - before, before, cycle) &&
      this.#haveCycle(head, behind, head === 0 ? cycle : cycle - 1);
    if (!isOrdered) throw new Unclean('its log must be replayed first');
  }

  #haveCycle(from: number, count: number, cycle: number): boolean {
    for (const piece of this.#pieces(from, count)) {
      const fields = viewOf(piece);
      for (let at = 0; at < piece.length; at += BLOCK_BYTES) if (cycleAt(fields, at) !== cycle) return false;
    }
    return true;
  }

  /** The block of the newest record's header. */
  lastRecordBefore(head: number): number {
    const most = Math.min(MOST_RECORD_BYTES / BLOCK_BYTES + 16, this.#blockCount);
    for (let distance = 1; distance <= most; distance++) {
      const block = this.#wrap(head - distance);
      if (viewOf(this.#block(block)).getUint32(0) === RECORD_MAGIC) return block;
    }
    throw new Unclean('its log must be replayed first');
  }

  isUnmount(record: number, head: number): boolean {
    const header = this.#block(record);
    const fields = viewOf(header);
    const length = fields.getUint32(12);
    const { uuid, metadataUuid } = this.#superblock;
    const isOurs = [uuid, metadataUuid, NIL_UUID].some((one) => hasUuid(header, 304, one));
    if (!isOurs || length > MOST_RECORD_BYTES) throw new Doubt('its log is not valid');
    // Version 2 has more headers, if its records can be larger.
    const isSecond = (fields.getUint32(8) & 2) !== 0;
    const size = fields.getUint32(320);
    if (size > MOST_RECORD_BYTES) throw new Doubt('its log is not valid');
    const headers = isSecond && size > HEADER_DATA_BYTES ? Math.ceil(size / HEADER_DATA_BYTES) : 1;
    const blocks = headers + Math.ceil(length / BLOCK_BYTES);
    if (this.#wrap(record + blocks) !== head || fields.getUint32(40) !== 1) return false;
    if (fields.getUint32(4) !== this.#cycleBefore(head)) return false;
    this.#requireChecksum(record, headers, blocks);
    const operation = this.#block(this.#wrap(record + headers));
    return length >= 20 && ((operation[9] ?? 0) & UNMOUNT_FLAG) !== 0;
  }

  /** Records that xfsprogs has written have no checksum. */
  #requireChecksum(record: number, headers: number, blocks: number): void {
    const bytes = [...this.#pieces(record, blocks)].flatMap(blocksOf);
    const [first = new Uint8Array(BLOCK_BYTES)] = bytes;
    const expected = viewOf(first).getUint32(32, true);
    if (!this.#superblock.hasChecksums || expected === 0) return;
    const rest = [...bytes.slice(1, headers).map((one) => one.subarray(0, 260)), ...bytes.slice(headers)];
    const isRight = headerSizes.some((size) => {
      const parts = [first.subarray(0, 32), new Uint8Array(4), first.subarray(36, size), ...rest];
      return ~parts.reduce(crc32c, 0xffffffff) >>> 0 === expected;
    });
    if (!isRight) throw new Doubt("its log's last checksum is wrong");
  }

  #cycleBefore(head: number): number {
    return this.#cycleOf(this.#wrap(head - 1));
  }

  #cycleOf(block: number): number {
    return cycleAt(viewOf(this.#block(block)), 0);
  }

  #wrap(block: number): number {
    return (block + this.#blockCount) % this.#blockCount;
  }

  #block(block: number): Uint8Array {
    return this.#read(this.#offset + block * BLOCK_BYTES, BLOCK_BYTES);
  }

  /** Blocks one after another, also around the end; in pieces of many. */
  *#pieces(from: number, count: number): Generator<Uint8Array> {
    for (let done = 0; done < count;) {
      const start = this.#wrap(from + done);
      const together = Math.min(128, count - done, this.#blockCount - start);
      yield this.#read(this.#offset + start * BLOCK_BYTES, together * BLOCK_BYTES);
      done += together;
    }
  }
}

function blocksOf(piece: Uint8Array): Uint8Array[] {
  return Array.from({ length: piece.length / BLOCK_BYTES }, (_, index) =>
    piece.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
  );
}

/** Of the block that begins at this byte of the piece. */
function cycleAt(piece: DataView, at: number): number {
  const first = piece.getUint32(at);
  return first === RECORD_MAGIC ? piece.getUint32(at + 4) : first;
}
