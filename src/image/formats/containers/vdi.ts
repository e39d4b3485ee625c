import { withoutBacking, type ContainerFacts } from './container-facts.ts';
import { fieldsAt, unsupportedImage, type HeaderFile } from './header-file.ts';

/* VirtualBox's VDI, version 1.1. Numbers are little-endian. Source: QEMU, block/vdi.c. */

export const VDI_MAGIC_AT = 0x40;
export const vdiMagic = '7f10dabe';

const HEADER_BYTES = 0x1c8;
const VERSION_1_1 = 0x00010001;
const DYNAMIC = 1;
const FIXED = 2;
const NO_UUID = '0'.repeat(32);

export function readVdi(file: HeaderFile): ContainerFacts {
  const header = fieldsAt(file, 0, HEADER_BYTES);
  const kind = header.u32(0x4c, 'little');
  const parents = [header.hex(0x1a8, 16), header.hex(0x1b8, 16)];
  if (header.u32(0x44, 'little') !== VERSION_1_1 || (kind !== DYNAMIC && kind !== FIXED))
    throw unsupportedImage(
      file.path,
      'is a VirtualBox disk of a kind that is not read',
      'Convert it with VirtualBox: VBoxManage clonemedium disk IN.vdi OUT.vdi',
    );
  if (parents.some((uuid) => uuid !== NO_UUID))
    throw unsupportedImage(
      file.path,
      'is a VirtualBox snapshot: it has only the differences from a parent image',
      'Make one image of both with VirtualBox: VBoxManage clonemedium disk IN.vdi OUT.vdi',
    );
  return { sizeBytes: header.u64(0x170, 'little'), ...withoutBacking };
}
