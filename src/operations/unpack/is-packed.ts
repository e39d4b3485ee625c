import { open } from 'node:fs/promises';
import { HEAD_BYTES, isCompressed, isTar } from '../../codec/compression-format.ts';
import { MANIFEST_NAME } from '../../archive/manifest.ts';
import { isOvf } from './unpack-ova.ts';

/**
 * Whether the file at this path is an archive of `vmferry export`, an OVA, or something that is compressed. Its content decides, never its
 * name. A device is none of them, and neither is a file that cannot be read: whoever opens it as an image says why.
 */
export async function isPacked(path: string): Promise<boolean> {
  try {
    await using file = await open(path, 'r');
    if (!(await file.stat()).isFile()) return false;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return isPackedHead(buffer.subarray(0, bytesRead));
  } catch {
    return false;
  }
}

/** The same by the first bytes. A tar counts only if its first member is that of an archive. */
export function isPackedHead(head: Buffer): boolean {
  if (isCompressed(head)) return true;
  const [first = ''] = head.subarray(0, 100).toString('latin1').split('\0', 1);
  return isTar(head) && (first === MANIFEST_NAME || isOvf(first));
}
