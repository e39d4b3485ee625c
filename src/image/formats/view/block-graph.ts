import type { Stats } from 'node:fs';
import type { ImageFormat } from '../image-format.ts';

/** A node of QEMU's block graph, as `--blockdev` takes it (QEMU, qapi/block-core.json). */
export interface BlockNode {
  driver: string;
  'node-name': string;
  [option: string]: unknown;
}

/** An opened file of a chain, and its format. */
export interface ChainFile {
  fd: number;
  stats: Stats;
  format: ImageFormat;
  /** Only of a copy-on-write file of User Mode Linux: the qcow2 image that stands for it (`cow-overlay.ts`). */
  overlay?: { fd: number; dataOffset: number };
}

/** The formats that can have a backing file: QEMU would open it by itself unless it is told another one, or none. */
const withBacking: ReadonlySet<ImageFormat> = new Set(['qcow2', 'vmdk']);

/**
 * QEMU's graph for a chain of files, the topmost first; the last node shows the disk. Each driver is named, so that QEMU
 * probes nothing, and each backing file is one of the chain, so that QEMU opens nothing by itself.
 * @param isInUse takes no locks: the image may be changed by its guest meanwhile
 */
export function readGraph(chain: readonly ChainFile[], isInUse: boolean): BlockNode[] {
  const access = { 'read-only': true, 'force-share': isInUse };
  // User Mode Linux locks whole files, those that it only reads, too, and so do we the clones of images; that hinders QEMU's own locks.
  const locking = isInUse || chain.some(({ format }) => format === 'cow') ? { locking: 'off' } : {};
  const nodes: BlockNode[] = [];
  let below: string | null = null;
  for (const [index, { fd, stats, format, overlay }] of [...chain.entries()].toReversed()) {
    const [file, disk] = [`file${index}`, `disk${index}`];
    nodes.push({
      driver: stats.isBlockDevice() ? 'host_device' : 'file',
      'node-name': file,
      filename: openedFile(fd),
      'auto-read-only': false,
      ...locking,
      ...access,
    });
    if (overlay === undefined)
      nodes.push({
        driver: format,
        'node-name': disk,
        file,
        ...access,
        ...(withBacking.has(format) ? { backing: below } : {}),
      });
    else nodes.push(...overlayNodes({ file, disk, below }, overlay, { locking, access }));
    below = disk;
  }
  return nodes;
}

function overlayNodes(
  { file, disk, below }: { file: string; disk: string; below: string | null },
  { fd, dataOffset }: { fd: number; dataOffset: number },
  { locking, access }: { locking: object; access: object },
): BlockNode[] {
  const [overlay, data] = [`overlay-${file}`, `data-${file}`];
  return [
    {
      driver: 'file',
      'node-name': overlay,
      filename: openedFile(fd),
      'auto-read-only': false,
      ...locking,
      ...access,
    },
    { driver: 'raw', 'node-name': data, file, offset: dataOffset, ...access },
    { driver: 'qcow2', 'node-name': disk, file: overlay, 'data-file': data, backing: below, ...access },
  ];
}

/**
 * QEMU's graph for writing a qcow2 image. QEMU takes no lock: the file is locked by this process.
 * @param isDirect whether reading and writing go past the page cache
 */
export function writeGraph(fd: number, isDirect: boolean): BlockNode[] {
  return [
    {
      driver: 'file',
      'node-name': 'file0',
      filename: openedFile(fd),
      locking: 'off',
      discard: 'unmap',
      cache: { direct: isDirect },
    },
    {
      driver: 'qcow2',
      'node-name': 'disk0',
      file: 'file0',
      backing: null,
      discard: 'unmap',
      'detect-zeroes': 'unmap',
      cache: { direct: isDirect },
    },
  ];
}

/** The very file that this process has opened and looked at, whatever is at its path by now. */
function openedFile(fd: number): string {
  return `/proc/${process.pid}/fd/${fd}`;
}
