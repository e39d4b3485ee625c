import { Failure } from '../../failure.ts';
import { qcow2Magic } from '../../image/formats/containers/qcow2.ts';
import { vhdxMagic } from '../../image/formats/containers/vhdx.ts';
import { vmdkMagic } from '../../image/formats/containers/vmdk.ts';
import { vpcMagic } from '../../image/formats/containers/vpc.ts';
import { quoteForShell } from '../../quote-for-shell.ts';

/** How a file of each format begins, in hexadecimal. */
const containers: readonly (readonly [format: string, magic: string])[] = [
  ['qcow2', qcow2Magic],
  ['vmdk', vmdkMagic],
  ['vhdx', vhdxMagic],
  ['vpc', vpcMagic],
  // Its text for people (`<<< Oracle VM …`); its magic number comes later.
  ['vdi', '3c3c3c20'],
];

/** Throws Failure `image-unsupported` for an image whose bytes are not those of the disk: it would be imported as garbage. */
export function refuseContainer(head: Uint8Array, path: string): void {
  const beginning = Buffer.from(head.subarray(0, 8)).toString('hex');
  const format = containers.find(([, magic]) => beginning.startsWith(magic))?.[0];
  if (format === undefined) return;
  throw new Failure(
    'image-unsupported',
    `${path} holds an image in the format ${format}, not the bytes of a disk.`,
    {
      advice: `Unpack it with its own program, and make a bare image of it: qemu-img convert -f ${format} -O raw IMAGE ${quoteForShell('disk.img')}`,
    },
  );
}
