import { Failure } from '../../failure.ts';
import { quoteForShell } from '../../quote-for-shell.ts';

const containers: readonly (readonly [format: string, magic: string])[] = [
  ['qcow2', 'QFI\u00fb'],
  ['vmdk', 'KDMV'],
  ['vhdx', 'vhdxfile'],
  ['vpc', 'conectix'],
  ['vdi', '<<< '],
];

/** Throws Failure `image-unsupported` for an image whose bytes are not those of the disk: it would be imported as garbage. */
export function refuseContainer(head: Uint8Array, path: string): void {
  const beginning = Buffer.from(head.subarray(0, 8)).toString('latin1');
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
