import type { Context } from '../../events.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { othersThan, refuseUsedDisks } from '../../guest/disks/used-disks.ts';
import type { Resources } from '../../pipeline/resources.ts';
import { refuseContainerFormat } from './container-format.ts';
import { openSourceDisk, type SourceDisk } from '../../transfer/source-disk.ts';
import { tellOfContainer } from '../../transfer/container-notices.ts';
import { warnOfUnknownFileSystems } from '../../transfer/file-system-warnings.ts';

const USED_ADVICE = 'End that use first. To move a running guest, give its name: see `vmferry guests`.';

/** Runs a part of the preflight. Notes a failure, and then returns null. */
export type Attempt = <Result>(work: () => Result | Promise<Result>) => Promise<Result | null>;

/** Opens the images of the guest, in its order; null for one that cannot be opened. Notes everything that is wrong. */
export async function lookAtDisks(
  { definition, running, earlierStates }: ResolvedGuest,
  options: { everyBlock: boolean },
  drivers: readonly GuestDriver[],
  attempt: Attempt,
  cleanup: Resources,
  context: Context,
): Promise<(SourceDisk | null)[]> {
  const opened: (SourceDisk | null)[] = [];
  const looking = { ...options, isInUse: running !== null };
  for (const definedDisk of definition.disks) {
    const disk = await attempt(async () => cleanup.hold(await openSourceDisk(definedDisk, looking)));
    opened.push(disk);
    if (disk === null) continue;
    tellOfContainer(disk, context, earlierStates?.insideImages);
    if (!options.everyBlock) warnOfUnknownFileSystems(disk, context);
    await attempt(() => refuseContainerFormat(definedDisk.path, disk.layout));
  }
  await attempt(() =>
    refuseUsedDisks(definition, USED_ADVICE, running === null ? undefined : othersThan(running, drivers)),
  );
  return opened;
}
