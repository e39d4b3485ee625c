import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { awaitReleases } from '../../guest/disks/await-releases.ts';
import { isOfThisMachine } from '../../guest/resolve-guest.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { GuestDriver, RunningGuest } from '../../guest/guest-driver.ts';
import type { MoveCopy } from './passes/move-copy.ts';
import type { Move } from './preflight.ts';
import { refuseWhileMoved, thisMover } from '../../guest/mover.ts';
import { runStage } from '../../pipeline/run-stage.ts';

/** Halts the guest, if it runs, and makes sure that nothing has its images open any more. */
export async function haltForMove(
  { request, dependencies, guest, directory }: Move,
  copy: Pick<MoveCopy, 'halt'>,
  context: Context,
): Promise<void> {
  const { drivers, records } = dependencies;
  const { definition, running } = guest;
  if (!isOfThisMachine(guest)) return;
  const { destination, sshConfigFile } = request.target;
  const { remoteCommand } = request;
  const move = {
    destination,
    directory,
    sshConfigFile,
    remoteCommand,
    ...thisMover(),
    ...(request.options && { options: request.options }),
  };
  refuseWhileMoved(await records.read(definition.name));
  const driver = requireDriver(drivers, definition.driver);
  if (running !== null) await refuseOtherDisks(running, driver, context);
  await records.write({ definition, state: 'moving', move });
  if (running === null) {
    await awaitReleases(definition, context.signal);
    return;
  }
  const options = { timeoutMs: request.haltTimeoutMs, force: request.forceHalt };
  await runStage(
    context,
    'halt',
    `halting ${definition.name}`,
    async () => {
      await copy.halt(driver, running, options, context);
      await awaitReleases(definition, context.signal);
    },
    () => `${definition.name} is down`,
  );
}

/**
 * A snapshot puts a new image over a disk, and its end takes that away again: programs for backups do both. The preflight, which may be
 * long ago, saw other images then. Throws Failure `guest-unsupported`.
 */
async function refuseOtherDisks(before: RunningGuest, driver: GuestDriver, context: Context): Promise<void> {
  const now = (await driver.list(context)).find(({ identity }) => identity.id === before.identity.id);
  // It has ended by itself meanwhile; halting it finds that out.
  if (now === undefined) return;
  if (now.unsupported !== undefined) throw now.unsupported;
  const images = ({ definition: { disks } }: RunningGuest) => disks.map(({ path }) => path).join(', ');
  if (images(now) === images(before)) return;
  const { name } = before.definition;
  throw new Failure(
    'guest-unsupported',
    `The disks of ${name} have changed since the move began: they were ${images(before)}, and are ${images(now)}.`,
    {
      advice: `Something, such as a backup, has made or ended a snapshot of ${name}. When that is done, move it again.`,
    },
  );
}
