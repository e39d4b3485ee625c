import type { Context } from '../../events.ts';
import { awaitReleases } from '../../guest/await-releases.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { Preflight } from './preflight.ts';
import type { MigrateRequest } from './migration-report.ts';
import { refuseWhileMoved, thisMover } from '../../guest/mover.ts';
import { runStage } from '../../pipeline/run-stage.ts';

/** Halts the guest, if it runs, and makes sure that nothing has its images open any more. */
export async function haltForMove(
  request: MigrateRequest,
  { guest, directory }: Preflight,
  { drivers, records }: MigrateDependencies,
  context: Context,
): Promise<void> {
  const { definition, running } = guest;
  if (definition.driver === 'offline') return;
  const { destination, sshConfigFile } = request.target;
  const { remoteCommand } = request;
  const move = { destination, directory, sshConfigFile, remoteCommand, ...thisMover() };
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
