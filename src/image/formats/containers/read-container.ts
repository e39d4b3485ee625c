import { Failure } from '../../../failure.ts';
import type { ContainerFormat } from '../image-format.ts';
import type { ContainerFacts } from './container-facts.ts';
import { fieldsUpTo, type HeaderFile } from './header-file.ts';
import { qcow2Magic, readQcow2 } from './qcow2.ts';
import { isUmlCow, readUmlCow } from './uml-cow.ts';
import { readVdi, VDI_MAGIC_AT, vdiMagic } from './vdi.ts';
import { readVhdx, vhdxMagic } from './vhdx.ts';
import { readVmdk, severalFiles, vmdkMagic } from './vmdk.ts';
import { readVpc, VPC_FOOTER_BYTES, vpcMagic } from './vpc.ts';

const readers: Record<ContainerFormat, (file: HeaderFile) => ContainerFacts> = {
  qcow2: readQcow2,
  vmdk: readVmdk,
  vdi: readVdi,
  vpc: readVpc,
  vhdx: readVhdx,
  cow: readUmlCow,
};

/** A descriptor of VMware that is a file of its own. */
const VMDK_DESCRIPTOR = '# Disk DescriptorFile';

/**
 * Reads the header of an image, whose format is known from elsewhere. Throws Failure `image-not-a-disk` when it is not of that format,
 * or damaged, and `image-unsupported` when it cannot be read without other files, or without a key.
 */
export function readContainer(file: HeaderFile, format: ContainerFormat): ContainerFacts {
  if (!hasMagic(file, format)) {
    const head = fieldsUpTo(file, 0, VMDK_DESCRIPTOR.length);
    if (format === 'vmdk' && head.latin1(0, head.length) === VMDK_DESCRIPTOR) throw severalFiles(file.path);
    throw new Failure('image-not-a-disk', `${file.path} has no header of the format ${format}.`, {
      advice: 'If its name tells the wrong format, rename it, or name its format: --image-format raw',
    });
  }
  return readers[format](file);
}

function hasMagic(file: HeaderFile, format: ContainerFormat): boolean {
  switch (format) {
    case 'qcow2':
      return startsWith(file, 0, qcow2Magic);
    case 'vmdk':
      return startsWith(file, 0, vmdkMagic);
    case 'vdi':
      return startsWith(file, VDI_MAGIC_AT, vdiMagic);
    case 'vpc':
      return startsWith(file, 0, vpcMagic) || startsWith(file, file.sizeBytes - VPC_FOOTER_BYTES, vpcMagic);
    case 'vhdx':
      return startsWith(file, 0, vhdxMagic);
    case 'cow':
      return isUmlCow(file);
  }
}

function startsWith(file: HeaderFile, offset: number, magic: string): boolean {
  if (offset < 0) return false;
  const bytes = fieldsUpTo(file, offset, magic.length / 2);
  return bytes.hex(0, bytes.length) === magic;
}
