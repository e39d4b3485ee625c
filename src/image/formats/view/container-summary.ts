import { closeSync } from 'node:fs';
import { openImageFile } from '../../source/image-file.ts';
import type { ContainerDescription, ImageSource } from '../../source/image-source.ts';
import type { ContainerFormat } from '../image-format.ts';
import { closeBelow, describeChain, openChain } from './backing-chain.ts';

/** The unit of `st_blocks` (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/**
 * What the headers of an image and of its backing files tell, without reading the disk. Throws as `openImage`, but
 * needs no other program.
 */
export function summarizeContainer(
  namedPath: string,
  format: ContainerFormat,
  namedBacking: string | null = null,
): Pick<ImageSource, 'path' | 'sizeBytes' | 'allocatedBytes'> & { container: ContainerDescription } {
  const file = openImageFile(namedPath);
  try {
    const chain = openChain(file, format, namedBacking);
    closeBelow(chain);
    const sizeBytes = chain[0].facts?.sizeBytes ?? file.stats.size;
    return {
      path: file.path,
      sizeBytes,
      container: describeChain(chain, sizeBytes),
      allocatedBytes: chain.reduce((sum, { stats }) => sum + stats.blocks * STAT_BLOCK_BYTES, 0),
    };
  } finally {
    closeSync(file.fd);
  }
}
