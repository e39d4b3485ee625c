import { stat } from 'node:fs/promises';
import { Failure } from '../failure.ts';
import type { GuestDefinition } from '../guest/definition.ts';

/** When each of a guest's images was last changed, and its size: the same again if nothing wrote to them meanwhile. */
export type SourceStamp = readonly string[];

export async function stampSource({ disks }: GuestDefinition): Promise<SourceStamp> {
  return Promise.all(
    disks.map(async ({ path }) => {
      const { mtimeMs, size } = await stat(path);
      return `${path} ${mtimeMs} ${size}`;
    }),
  );
}

/** Throws Failure `image-in-use` when an image was changed since the stamp was taken. */
export async function refuseChangedSource(definition: GuestDefinition, stamp: SourceStamp): Promise<void> {
  const now = await stampSource(definition);
  const changed = definition.disks.filter((_, index) => now[index] !== stamp[index]);
  if (changed.length === 0) return;
  throw new Failure(
    'image-in-use',
    `${changed.map(({ path }) => path).join(', ')} changed after it was copied.`,
    {
      advice: 'Something on this machine may have started the guest meanwhile. Stop that, and move it again.',
    },
  );
}
