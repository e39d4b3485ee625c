import { withoutBacking, type ContainerFacts } from './container-facts.ts';
import { damagedHeader, fieldsAt, unsupportedImage, type HeaderFile } from './header-file.ts';

/* VHD: Microsoft, "Virtual Hard Disk Image Format Specification". Numbers are big-endian. */

/** "conectix" */
export const vpcMagic = '636f6e6563746978';
export const VPC_FOOTER_BYTES = 512;

const FIXED = 2;
const DYNAMIC = 3;
const DIFFERENCING = 4;

/** A fixed disk has the footer only at its end, the others also at their beginning. */
export function readVpc(file: HeaderFile): ContainerFacts {
  const atEnd = fieldsAt(file, Math.max(0, file.sizeBytes - VPC_FOOTER_BYTES), VPC_FOOTER_BYTES);
  const atStart = fieldsAt(file, 0, VPC_FOOTER_BYTES);
  const footer = atStart.hex(0, 8) === vpcMagic ? atStart : atEnd;
  const kind = footer.u32(60, 'big');
  if (kind === DIFFERENCING)
    throw unsupportedImage(
      file.path,
      'is a differencing VHD: it has only the differences from a parent image',
      'Merge it into its parent with Hyper-V (Merge-VHD), or convert the two into one.',
    );
  if (kind !== FIXED && kind !== DYNAMIC) throw damagedHeader(file.path);
  return { sizeBytes: footer.u64(48, 'big'), ...withoutBacking };
}
