import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import type { BootFilePaths } from '../../../guest/boot-menu/take-boot-files.ts';
import { makeAdaptation } from '../../../guest/adaptation/make-adaptation.ts';
import { bootIsolated, endIsolated } from '../../../guest/boot-isolated.ts';
import { parseGuestDefinition } from '../../../guest/definition.ts';
import { withImage } from '../../../guest/disks/with-image.ts';
import type { GuestDriver } from '../../../guest/guest-driver.ts';
import type { GuestDependencies } from '../../../guest/guest-dependencies.ts';
import { requireDriver } from '../../../guest/require-driver.ts';
import type { ImageTarget } from '../../../image/target/image-target.ts';
import { Resources } from '../../../pipeline/resources.ts';
import { here, placed } from '../../../placed-text.ts';
import type { MoverMessage } from '../../../wire/messages.ts';
import { copyForRehearsal, rehearsalPath } from './copy-for-rehearsal.ts';

export interface Rehearsal extends Omit<Extract<MoverMessage, { type: 'rehearse' }>, 'type'> {
  /** The incomplete images. They hold all of the guest's disks, and are not changed. */
  targets: readonly ImageTarget[];
  /** @param copiedBytes in all, where the images have to be copied */
  onCopied: (copiedBytes: number) => void;
}

export interface RehearsalDependencies extends Pick<GuestDependencies, 'drivers'> {
  /** New files to boot this guest: nothing has their names. */
  bootFilesOf: (guest: string) => BootFilePaths;
}

/**
 * Boots clones of incomplete images, cut off from everything, halts that guest and removes the clones. Returns the seconds until it was
 * up. Throws Failure `boot-failed`, `target-full`, and what keeps this machine from making the clones.
 */
export async function rehearseBoot(
  { guest, root, edits, bootArchive, bootFiles, timeoutMs, targets, onCopied }: Rehearsal,
  { drivers, bootFilesOf }: RehearsalDependencies,
  context: Context,
): Promise<number> {
  const definition = parseGuestDefinition(guest);
  const driver = requireDriver(drivers, definition.driver);
  await endLeftGuests(driver, targets, context);
  await using cleanup = new Resources();
  const copyOf = new Map<string, string>();
  let copiedBytes = 0;
  const onMore = (bytes: number) => onCopied((copiedBytes += bytes));
  for (const { path } of definition.disks) {
    const target = targets.find((made) => made.path === path);
    if (target === undefined) throw new Failure('protocol-violation', `${path} was not begun.`);
    const copy = cleanup.hold(await copyForRehearsal(target, onMore, context));
    copyOf.set(path, copy.path);
  }
  const scratch = await mkdtemp(join(tmpdir(), 'vmferry-rehearse-'));
  const name = `vmferry-rehearse-${randomBytes(4).toString('hex')}`;
  const made = bootFilesOf(name);
  try {
    const emptyDirectory = join(scratch, 'empty');
    await mkdir(emptyDirectory);
    const copies = definition.disks.map(({ path }) => copyOf.get(path) ?? path);
    const disks = definition.disks.map((disk, index) =>
      withImage(disk, { path: copies[index] ?? disk.path, format: 'raw' }),
    );
    const work = {
      definition: { ...definition, disks },
      root: root && { ...root, path: copyOf.get(root.path) ?? root.path },
      edits,
      bootArchive: bootArchive === null ? null : Buffer.from(bootArchive, 'base64'),
      bootFiles: bootFiles ? { ...bootFiles, path: copyOf.get(bootFiles.path) ?? bootFiles.path } : null,
    };
    const adapted = await makeAdaptation(work, made, context);
    const isolated = await driver.isolate(adapted, { name, copies, emptyDirectory });
    return await bootIsolated(driver, isolated, { scratch, bootTimeoutMs: timeoutMs }, context);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'start-failed') throw error;
    throw new Failure('boot-failed', placed`A copy of the guest does not boot ${here}: ${error.message}`, {
      cause: error,
    });
  } finally {
    for (const path of Object.values(made)) await rm(path, { force: true });
    await rm(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** A receiver that was killed could not halt its guest. */
async function endLeftGuests(
  driver: GuestDriver,
  targets: readonly ImageTarget[],
  context: Context,
): Promise<void> {
  const copies = new Set(targets.map(({ workingPath }) => rehearsalPath(workingPath)));
  for (const guest of await driver.list(context))
    if (guest.definition.disks.some(({ path }) => copies.has(path))) await endIsolated(driver, guest);
}
