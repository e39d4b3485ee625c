import { closeSync, constants, openSync, statSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import { errorCode } from '../../../system/error-code.ts';
import { noteOwnView } from '../../usage/own-views.ts';
import type { ImageFile } from '../../source/image-file.ts';
import type { ImageSource } from '../../source/image-source.ts';
import type { ContainerFormat } from '../image-format.ts';
import { fileDataExtents } from '../raw/file-data-extents.ts';
import { readExactly } from '../raw/read-exactly.ts';
import { closeBelow, describeChain, openChain, type Link } from './backing-chain.ts';
import { readGraph } from './block-graph.ts';
import { makeOverlay } from './overlay-file.ts';
import { startView, type View } from './view.ts';

const SECTOR_BYTES = 512;
/** The unit of `st_blocks` (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/**
 * Opens an image of any format that QEMU knows, by a view of it (`view.ts`).
 * Throws Failure `image-not-a-disk`, `image-unsupported`, `image-in-use`, `program-missing` and those of `openImageFile`.
 * @param namedBacking see `openChain`
 * @param isInUse reads an image that its guest has open: what is read may be inconsistent
 */
export async function openViewedImage(
  file: ImageFile,
  format: ContainerFormat,
  {
    isInUse,
    yieldsDisk,
    namedBacking,
  }: { isInUse: boolean; yieldsDisk: boolean; namedBacking: string | null },
): Promise<ImageSource> {
  const chain = openChain(file, format, namedBacking);
  const noted = noteOwnView(chain.map(({ stats }) => stats));
  let view: View | null = null;
  let overlay: ReturnType<typeof makeOverlay> = null;
  let source: ImageSource;
  try {
    const [top, ...below] = chain;
    overlay = makeOverlay(top);
    const files = [{ ...top, ...(overlay !== null && { overlay }) }, ...below];
    const options = { writable: false, yieldsDisk, image: file.namedPath };
    view = await startView(readGraph(files, isInUse), options);
    source = openSource(chain, view, noted);
  } catch (error) {
    await view?.[Symbol.asyncDispose]();
    noted[Symbol.dispose]();
    throw error;
  } finally {
    // The daemon has opened the files itself.
    closeBelow(chain);
    if (overlay !== null) closeSync(overlay.fd);
  }
  closeSync(file.fd);
  return source;
}

function openSource(chain: readonly [Link, ...Link[]], view: View, noted: Disposable): ImageSource {
  const [{ path, stats, format }] = chain;
  const { size: sizeBytes } = statSync(view.path);
  requireWholeSectors(path, sizeBytes);
  // Past the page cache, which would only add a copy, and smaller requests. FUSE wants no alignment for that.
  const fd = openSync(view.path, constants.O_RDONLY | constants.O_DIRECT);
  let isOpen = true;
  return {
    path,
    kind: stats.isFile() ? 'file' : 'block-device',
    format,
    container: describeChain(chain, sizeBytes),
    fd,
    sizeBytes,
    allocatedBytes: chain.reduce((sum, link) => sum + link.stats.blocks * STAT_BLOCK_BYTES, 0),
    dataExtents: () => fileDataExtents(path, fd, sizeBytes),
    read: (offset, length) => readExactly(path, fd, offset, length),
    async [Symbol.asyncDispose]() {
      if (!isOpen) return;
      isOpen = false;
      closeView(fd);
      await view[Symbol.asyncDispose]();
      noted[Symbol.dispose]();
    },
  };
}

/** Closing a file of FUSE fails when its daemon is gone; it is closed nevertheless. */
function closeView(fd: number): void {
  try {
    closeSync(fd);
  } catch (error) {
    if (errorCode(error) === '') throw error;
  }
}

function requireWholeSectors(path: string, sizeBytes: number): void {
  if (sizeBytes > 0 && sizeBytes % SECTOR_BYTES === 0) return;
  throw new Failure('image-not-a-disk', `The disk in ${path} has ${sizeBytes} bytes, which no disk has.`);
}
