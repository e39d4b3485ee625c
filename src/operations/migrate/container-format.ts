import { Failure } from '../../failure.ts';
import type { ImageLayout } from '../../image/probe.ts';

/** Kinds of image files that are not raw, and how to make a raw image of one. */
const adviceByKind: ReadonlyMap<string, (path: string) => string> = new Map([
  ['qcow2', (path) => `Make a raw image of it first: qemu-img convert -O raw ${path} ${path}.raw`],
  ['vmdk', (path) => `Make a raw image of it first: qemu-img convert -O raw ${path} ${path}.raw`],
  [
    'uml-cow',
    (path) =>
      'It holds only the differences from another file, and is useless without it. ' +
      `Merge the two first: uml_moo ${path} ${path}.raw`,
  ],
]);

/** Throws Failure `guest-unsupported` for an image that is not raw. */
export function refuseContainerFormat(path: string, { regions }: ImageLayout): void {
  for (const { offset, kind } of regions) {
    const advice = offset === 0 ? adviceByKind.get(kind) : undefined;
    if (advice === undefined) continue;
    throw new Failure('guest-unsupported', `${path} is not a raw image but ${kind}, and cannot be moved.`, {
      advice: advice(path),
    });
  }
}
