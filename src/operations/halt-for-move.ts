import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { GuestDefinition } from '../guest/definition.ts';
import { requireDriver } from '../guest/require-driver.ts';
import { findUsers } from '../image/usage.ts';
import { describeUsers } from './image-users.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { Preflight } from './migrate-preflight.ts';
import type { MigrateRequest } from './migration-report.ts';
import { refuseWhileMoved, thisMover } from './mover.ts';
import { runStage } from './stage.ts';

/** A hypervisor's helpers may let go of an image a little after the guest itself is gone. */
const RELEASE_LIMIT_MS = 10_000;
const POLL_INTERVAL_MS = 100;

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

/**
 * Waits until nobody has the guest's disks open. To be called again before the guest is booted elsewhere: something on
 * this machine may have started it meanwhile. Throws Failure `image-in-use`.
 */
export async function awaitReleases({ disks }: GuestDefinition, signal: AbortSignal): Promise<void> {
  // What is only read may be shared with other guests.
  for (const { path, readOnly } of disks) if (!readOnly) await awaitRelease(path, signal);
}

async function awaitRelease(path: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = Date.now() + RELEASE_LIMIT_MS;
  while (true) {
    const users = await findUsers(path);
    if (users.length === 0) return;
    if (Date.now() > deadlineMs) {
      throw new Failure(
        'image-in-use',
        `The guest is down, but its disk ${path} still ${describeUsers(users)}.`,
        { advice: 'Something may have started the guest again: stop that first.' },
      );
    }
    await delay(POLL_INTERVAL_MS, undefined, { signal });
  }
}
