import { Failure } from '../../failure.ts';
import type { ImageLayout } from '../../image/probe.ts';

/** Image files whose bytes are not those of the disk, and how to make a raw image of one. */
const adviceByKind: ReadonlyMap<string, (path: string) => string> = new Map([
  ['qcow2', (path) => `Make a raw image of it first: qemu-img convert -O raw ${path} ${path}.raw`],
  ['vmdk', (path) => `Make a raw image of it first: qemu-img convert -O raw ${path} ${path}.raw`],
  [
    'uml-cow',
    (path) =>
      'It holds only what differs from another file, and is of no use without that one. ' +
      `Merge the two first: uml_moo ${path} ${path}.raw`,
  ],
]);

/** Throws Failure `guest-unsupported` for an image that is not raw: block by block it would not be moved whole. */
export function refuseContainerFormat(path: string, { regions }: ImageLayout): void {
  for (const { offset, kind } of regions) {
    const advice = offset === 0 ? adviceByKind.get(kind) : undefined;
    if (advice === undefined) continue;
    throw new Failure('guest-unsupported', `${path} is no raw image but ${kind}, which cannot be moved.`, {
      advice: advice(path),
    });
  }
}
