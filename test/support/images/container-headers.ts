import type { ContainerFormat } from '../../../src/image/formats/image-format.ts';

/* Headers of images with a disk of 64 MiB, as their specifications have them: without the data behind. */

const DISK_BYTES = 64 * 2 ** 20;
const DISK_SECTORS = DISK_BYTES / 512;

export const headers = { qcow2, vmdk, vdi, vpc, vhdx } satisfies Record<
  Exclude<ContainerFormat, 'cow'>,
  () => Uint8Array
>;

function qcow2({ backing, format }: { backing?: string; format?: string } = {}): Uint8Array {
  const bytes = Buffer.alloc(64 * 1024);
  bytes.write('QFI\xfb', 0, 'latin1');
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(BigInt(DISK_BYTES), 24);
  bytes.writeUInt32BE(104, 100);
  let at = 104;
  if (format !== undefined) {
    bytes.writeUInt32BE(0xe2792aca, at);
    bytes.writeUInt32BE(format.length, at + 4);
    bytes.write(format, at + 8);
    at += 8 + Math.ceil(format.length / 8) * 8;
  }
  if (backing !== undefined) {
    bytes.writeBigUInt64BE(BigInt(at + 8), 8);
    bytes.writeUInt32BE(backing.length, 16);
    bytes.write(backing, at + 8);
  }
  return bytes;
}

function vmdk(extents = `RW ${DISK_SECTORS} SPARSE "a.vmdk"`, parentId = 'ffffffff'): Uint8Array {
  const bytes = Buffer.alloc(64 * 1024);
  bytes.write('KDMV', 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(3, 8);
  bytes.writeBigUInt64LE(BigInt(DISK_SECTORS), 12);
  bytes.writeBigUInt64LE(128n, 20);
  bytes.writeBigUInt64LE(1n, 28);
  bytes.writeBigUInt64LE(20n, 36);
  bytes.write(
    `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=${parentId}\ncreateType="monolithicSparse"\n\n${extents}\n`,
    512,
  );
  return bytes;
}

function vdi(): Uint8Array {
  const bytes = Buffer.alloc(4096);
  bytes.writeUInt32LE(0xbeda107f, 0x40);
  bytes.writeUInt32LE(0x00010001, 0x44);
  bytes.writeUInt32LE(1, 0x4c);
  bytes.writeBigUInt64LE(BigInt(DISK_BYTES), 0x170);
  return bytes;
}

function vpc(): Uint8Array {
  const footer = Buffer.alloc(512);
  footer.write('conectix', 0);
  footer.writeBigUInt64BE(BigInt(DISK_BYTES), 48);
  footer.writeUInt32BE(3, 60);
  return Buffer.concat([footer, Buffer.alloc(4096), footer]);
}

function vhdx(): Uint8Array {
  const bytes = Buffer.alloc(2 * 2 ** 20);
  bytes.write('vhdxfile', 0);
  const region = 192 * 1024;
  bytes.write('regi', region);
  bytes.writeUInt32LE(1, region + 8);
  bytes.write('06a27c8b90479a4bb8fe575f050f886e', region + 16, 'hex');
  bytes.writeBigUInt64LE(BigInt(2 ** 20), region + 32);
  const metadata = 2 ** 20;
  bytes.write('metadata', metadata);
  bytes.writeUInt16LE(2, metadata + 10);
  bytes.write('3767a1ca36fa434db3b633f0aa44e76b', metadata + 32, 'hex');
  bytes.writeUInt32LE(65_536, metadata + 48);
  bytes.write('2442a52f1bcd7648b2115dbed83bf4b8', metadata + 64, 'hex');
  bytes.writeUInt32LE(65_544, metadata + 80);
  bytes.writeUInt32LE(2 ** 20, metadata + 65_536);
  bytes.writeBigUInt64LE(BigInt(DISK_BYTES), metadata + 65_544);
  return bytes;
}
