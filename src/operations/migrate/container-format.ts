import { Failure } from '../../failure.ts';
import type { ImageLayout } from '../../image/probe.ts';

/** Kinds of image files that are not raw, and how to make a raw image of one. */
const adviceByKind: ReadonlyMap<string, (path: string) => string> = new Map([
  ['qcow2', (path) => sayItsFormat(path, 'qcow2')],
  ['vmdk', (path) => sayItsFormat(path, 'vmdk')],
  ['uml-cow', (path) => sayItsFormat(path, 'cow')],
]);

/** The content proves nothing: the guest of a raw image can write such a header. */
function sayItsFormat(path: string, kind: string): string {
  return `It counts as raw: neither its guest's definition nor its name tells another format. If it is ${kind}, say so: --image-format ${kind}, or rename ${path} so that it ends in .${kind}. If its guest wrote that header, copy it by hand.`;
}

/** Throws Failure `guest-unsupported` for a raw image that begins like one of another format. */
export function refuseContainerFormat(path: string, { regions }: ImageLayout): void {
  for (const { offset, kind } of regions) {
    const advice = offset === 0 ? adviceByKind.get(kind) : undefined;
    if (advice === undefined) continue;
    throw new Failure(
      'guest-unsupported',
      `${path} begins like an image of the format ${kind}, and is not moved as a raw one.`,
      {
        advice: advice(path),
      },
    );
  }
}
