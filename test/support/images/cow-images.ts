import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { runTool, seededBytes } from './images.ts';

const SECTOR_BYTES = 512;
/** For an alignment of 4096 bytes, which the kernel and uml_mkcow choose. */
const BITMAP_OFFSET = 8192;

/** A header of a copy-on-write file of version 3, as the kernel's arch/um/drivers/cow_user.c writes it. */
export function cowHeader({
  backing = '/srv/base.img',
  sizeBytes = 64 * 2 ** 20,
  modifiedSeconds = 1,
}: { backing?: string; sizeBytes?: number; modifiedSeconds?: number } = {}): Buffer {
  const header = Buffer.alloc(32 + 4096);
  header.write('OOOM', 0);
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(modifiedSeconds, 8);
  header.writeBigUInt64BE(BigInt(sizeBytes), 12);
  header.writeUInt32BE(SECTOR_BYTES, 20);
  header.writeUInt32BE(4096, 24);
  header.write(backing, 32);
  return header;
}

export function cowDataOffset(sizeBytes: number): number {
  const end = BITMAP_OFFSET + Math.ceil(sizeBytes / SECTOR_BYTES / 8);
  return Math.ceil(end / 4096) * 4096;
}

/** The file as uml_mkcow makes it, without any sector of its own. */
export function makeCow(cow: string, backing: string): void {
  runTool('uml_mkcow', [cow, backing]);
}

/** Writes sectors into a copy-on-write file, as the kernel does; each third is zeros. */
export function writeSectors(cow: string, diskBytes: number, sectors: Iterable<number>, seed: number): void {
  const fd = openSync(cow, 'r+');
  try {
    for (const sector of sectors) {
      const bytes = sector % 3 === 0 ? Buffer.alloc(SECTOR_BYTES) : seededBytes(seed + sector, SECTOR_BYTES);
      writeSync(fd, bytes, 0, SECTOR_BYTES, cowDataOffset(diskBytes) + sector * SECTOR_BYTES);
      const [at, byte] = [BITMAP_OFFSET + (sector >> 3), Buffer.alloc(1)];
      readSync(fd, byte, 0, 1, at);
      writeSync(fd, Buffer.from([(byte[0] ?? 0) | (1 << (sector & 7))]), 0, 1, at);
    }
  } finally {
    closeSync(fd);
  }
}
