import type { Context } from '../../events.ts';
import { awaitReleases } from '../../guest/disks/await-releases.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { Move } from './preflight.ts';
import { refuseWhileMoved, thisMover } from '../../guest/mover.ts';
import { runStage } from '../../pipeline/run-stage.ts';

/** Halts the guest, if it runs, and makes sure that nothing has its images open any more. */
export async function haltForMove(
  { request, dependencies, guest, directory }: Move,
  context: Context,
): Promise<void> {
  const { drivers, records } = dependencies;
  const { definition, running } = guest;
  if (isImageOnly(definition)) return;
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
      await requireDriver(drivers, definition.driver).halt(running, options, context);
      await awaitReleases(definition, context.signal);
    },
    () => `${definition.name} is down`,
  );
}
