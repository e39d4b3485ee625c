import type { Context } from '../events.ts';
import type { ResolvedGuest } from '../guest/resolve-guest.ts';
import { openImage } from '../image/open-image.ts';
import type { GuestDependencies } from '../guest/guest-dependencies.ts';
import { holdByCloning, holdByPausing } from './still-frozen.ts';
import type { HoldMethod, HoldOptions, StillGuest } from './still-guest.ts';
import { holdByHalting, holdOffline } from './still-halted.ts';
import { holdByViewing } from './still-viewed.ts';

/**
 * Makes the guest's images stop changing. Throws Failure `image-in-use` (something else has them open),
 * `guest-unsupported` (there are no reflinks; `pause` and `halt` need none), `halt-failed`, and what opening an image
 * throws. The guest then runs as before.
 */
export async function holdStill(
  guest: ResolvedGuest,
  how: HoldMethod,
  options: HoldOptions,
  dependencies: GuestDependencies,
  context: Context,
): Promise<StillGuest> {
  const { definition, running } = guest;
  if (running?.unsupported !== undefined) throw running.unsupported;
  // A guest that can be read while it runs need not stand still.
  const viewed =
    running === null || how === 'halt' ? null : await holdByViewing(running, options, dependencies, context);
  if (viewed !== null) return viewed;
  // The images are tried first: a guest with an unreadable image is not stopped.
  for (const disk of definition.disks) {
    const image = await openImage(disk.path, { ...disk, isInUse: running !== null });
    await image[Symbol.asyncDispose]();
  }
  if (running === null) return holdOffline(guest, context);
  switch (how) {
    case 'clone':
      return holdByCloning(guest, running, dependencies, context);
    case 'pause':
      return holdByPausing(guest, running, dependencies, context);
    case 'halt':
      return holdByHalting(guest, running, options, dependencies, context);
  }
}
