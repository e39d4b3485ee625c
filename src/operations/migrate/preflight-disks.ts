import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { othersThan, refuseUsedDisks } from '../../guest/used-disks.ts';
import { targetNameOf } from '../../image/target/target-format.ts';
import type { Resources } from '../../pipeline/resources.ts';
import { refuseContainerFormat } from './container-format.ts';
import { openSourceDisk, type SourceDisk } from '../../transfer/source-disk.ts';
import { warnOfUnknownFileSystems } from '../../transfer/file-system-warnings.ts';

/** Leaves room in a file name (255 bytes) for `.partial`. */
const LONGEST_NAME_BYTES = 240;

const USED_ADVICE = 'End that use first. To move a running guest, give its name: see `vmferry guests`.';

/** Runs a part of the preflight. Notes a failure, and then returns null. */
export type Attempt = <Result>(work: () => Result | Promise<Result>) => Promise<Result | null>;

/** Opens those images of the guest that can be opened, and notes everything that is wrong. */
export async function lookAtDisks(
  { definition, running }: ResolvedGuest,
  options: { everyBlock: boolean },
  drivers: readonly GuestDriver[],
  attempt: Attempt,
  cleanup: Resources,
  context: Context,
): Promise<SourceDisk[]> {
  const opened: SourceDisk[] = [];
  const looking = { ...options, isInUse: running !== null };
  await attempt(() => refuseNames(definition));
  for (const definedDisk of definition.disks) {
    const disk = await attempt(async () => cleanup.hold(await openSourceDisk(definedDisk, looking)));
    if (disk === null) continue;
    opened.push(disk);
    if (!options.everyBlock) warnOfUnknownFileSystems(disk, context);
    await attempt(() => refuseContainerFormat(definedDisk.path, disk.layout));
  }
  await attempt(() =>
    refuseUsedDisks(definition, USED_ADVICE, running === null ? undefined : othersThan(running, drivers)),
  );
  return opened;
}

/** On the new hardware all images lie in one directory, under their names here. */
function refuseNames({ name: guest, disks }: GuestDefinition): void {
  if (disks.length === 0) throw new Failure('guest-unsupported', `${guest} has no disk to move.`);
  const paths = new Map<string, string>();
  for (const disk of disks) {
    const { path } = disk;
    const name = targetNameOf(disk, 'raw');
    const advice = 'Rename the image, and start the guest with the new path.';
    if (name.startsWith('.') || Buffer.byteLength(name) > LONGEST_NAME_BYTES)
      throw new Failure(
        'guest-unsupported',
        `${path} cannot be moved: its name begins with a dot, or is too long.`,
        { advice },
      );
    const other = paths.get(name);
    if (other !== undefined) {
      throw new Failure(
        'guest-unsupported',
        `${other} and ${path} have the same file name, but a move puts all images into one directory.`,
        { advice },
      );
    }
    paths.set(name, path);
  }
}
