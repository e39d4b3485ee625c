import type { Context } from '../../events.ts';
import { combineFailures, Failure } from '../../failure.ts';
import { fenceOf } from '../../guest/guest-record.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { findGuest, notFound } from '../../guest/resolve-guest.ts';
import { findUsedDisks } from '../../guest/disks/used-disks.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { noteState } from '../../guest/note-state.ts';
import { runStage } from '../../pipeline/run-stage.ts';

export interface StartRequest {
  guest: string;
  bootTimeoutMs: number;
  /** A guest that runs already is no failure. */
  ifDown?: boolean;
}

export interface StartReport {
  type: 'started';
  guest: string;
  /** Null if the hypervisor has no process for it. */
  pid: number | null;
  consoleLog: string;
}

/**
 * Starts a guest that is remembered, as it last ran, or that its hypervisor keeps. Throws Failure `guest-not-found`, `guest-already-running`, `guest-fenced`,
 * `image-in-use`, `start-failed`, or everything that keeps it from being booted.
 */
export async function startGuest(
  request: StartRequest,
  dependencies: GuestDependencies,
  context: Context,
): Promise<StartReport> {
  const { drivers, records, consoleLogOf } = dependencies;
  const found = await findGuest(request.guest, dependencies, context);
  if (found === null) throw await notFound(request.guest, dependencies, context);
  const { definition, running, record } = found;
  const { name } = definition;
  if (running !== null && request.ifDown === true)
    return {
      type: 'started',
      guest: name,
      pid: running.identity.pid ?? null,
      consoleLog: consoleLogOf(name),
    };
  if (running !== null)
    throw new Failure('guest-already-running', `${name} runs here already (${running.identity.label}).`);
  const fence = record === null ? null : fenceOf(record);
  if (fence !== null) throw fence;
  const driver = requireDriver(drivers, definition.driver);
  const [first, ...others] = [
    ...(await findUsedDisks(definition, 'End that use first: two writers destroy a disk.')),
    ...(await driver.checkBootable(definition, context)),
  ];
  if (first !== undefined) throw combineFailures([first, ...others]);

  const consoleLog = consoleLogOf(name);
  const { identity } = await runStage(
    context,
    'start',
    `starting ${name}`,
    () => driver.start(definition, { consoleLog, timeoutMs: request.bootTimeoutMs }, context),
    (guest) => `${name} is up (${guest.identity.label})`,
  );
  // What a move has copied stays there: it can go on with the guest that was started.
  const copying = record?.copying;
  await noteState({ definition, state: 'running', ...(copying && { copying }) }, records, context);
  return { type: 'started', guest: name, pid: identity.pid ?? null, consoleLog };
}
