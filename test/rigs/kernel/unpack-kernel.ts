import { readFile, writeFile } from 'node:fs/promises';
import { succeed } from '../base/command.ts';

/** Offsets in the header of a bzImage: the kernel's Documentation/x86/boot.rst. */
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** The unpacked size, behind the compressed bytes. */
const TRAILER_BYTES = 4;

/**
 * Writes the ELF file that is packed in a bzImage with xz. Without hardware virtualization, unpacking it in the guest
 * takes 10 s at each boot. Xen and QEMU boot either file.
 */
export async function unpackKernel(bzImage: string, target: string): Promise<void> {
  const image = await readFile(bzImage);
  if (image.toString('latin1', MAGIC, MAGIC + 4) !== 'HdrS') throw new Error(`${bzImage} is not a bzImage`);
  const start = (image.readUInt8(SETUP_SECTORS) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  const length = image.readUInt32LE(PAYLOAD_LENGTH) - TRAILER_BYTES;
  await writeFile(`${target}.xz`, image.subarray(start, start + length));
  await succeed('xz', ['--decompress', `${target}.xz`]);
}
