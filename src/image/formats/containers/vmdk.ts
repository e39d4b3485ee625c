import { quoteForShell } from '../../../quote-for-shell.ts';
import { withoutBacking, type ContainerFacts } from './container-facts.ts';
import { damagedHeader, fieldsAt, unsupportedImage, type HeaderFile } from './header-file.ts';

/*
 * VMware, "Virtual Disk Format 5.0": sparse extents. Numbers are little-endian. Only a single file with its descriptor
 * inside is read: a descriptor can name any files as extents, and any file as its parent.
 */

export const vmdkMagic = '4b444d56';

const HEADER_BYTES = 79;
const SECTOR_BYTES = 512;
/** The descriptor of a single file has less than 1 KiB. */
const MOST_DESCRIPTOR_SECTORS = 128;
const MOST_SECTORS = Math.floor(Number.MAX_SAFE_INTEGER / SECTOR_BYTES);
const NO_PARENT = 'ffffffff';
const singleFileTypes = new Set(['monolithicsparse', 'streamoptimized']);

export function readVmdk(file: HeaderFile): ContainerFacts {
  const header = fieldsAt(file, 0, HEADER_BYTES);
  const capacity = header.u64(12, 'little');
  const descriptorAt = header.u64(28, 'little');
  const descriptorSectors = header.u64(36, 'little');
  // With a capacity of 0, QEMU takes the extents from the descriptor, which can name any file.
  if (capacity === 0 || descriptorAt === 0 || descriptorSectors === 0) throw severalFiles(file.path);
  if (capacity > MOST_SECTORS || descriptorSectors > MOST_DESCRIPTOR_SECTORS) throw damagedHeader(file.path);
  const length = descriptorSectors * SECTOR_BYTES;
  const descriptor = fieldsAt(file, descriptorAt * SECTOR_BYTES, length);
  refuseOtherFiles(file.path, descriptor.latin1(0, length));
  return { sizeBytes: capacity * SECTOR_BYTES, ...withoutBacking };
}

function refuseOtherFiles(path: string, text: string): void {
  const lines = (text.split('\0')[0] ?? '').split('\n').map((line) => line.trim());
  const valueOf = (key: string) => {
    const line = lines.find((candidate) => candidate.toLowerCase().startsWith(`${key}=`));
    return line
      ?.slice(key.length + 1)
      .replace(/^"(.*)"$/, '$1')
      .toLowerCase();
  };
  const extents = lines.filter((line) => /^(RW|RDONLY|NOACCESS)\s/.test(line));
  const isSingle = extents.length === 1 && /^(RW|RDONLY)\s+\d+\s+SPARSE\s/.test(extents[0] ?? '');
  if (!isSingle || !singleFileTypes.has(valueOf('createtype') ?? '')) throw severalFiles(path);
  const hasParent = /parentfilenamehint/i.test(text) || (valueOf('parentcid') ?? NO_PARENT) !== NO_PARENT;
  if (!hasParent) return;
  throw unsupportedImage(
    path,
    'is a VMware snapshot: it has only the differences from a parent image',
    'Consolidate the snapshots in VMware, or make one image of both with qemu-img convert.',
  );
}

export function severalFiles(path: string): ReturnType<typeof unsupportedImage> {
  const named = quoteForShell(path);
  return unsupportedImage(
    path,
    'is a VMware disk that lies in other files, or of a kind that is not read',
    `Make a single image of it, if you trust the files that it names: qemu-img convert -f vmdk -O qcow2 ${named} ${named}.qcow2`,
  );
}
