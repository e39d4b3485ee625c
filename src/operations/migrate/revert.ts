import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Context } from '../../events.ts';
import { combineFailures, Failure } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { RunningGuest } from '../../guest/guest-driver.ts';
import { lowerFence, raiseFence } from '../../guest/hypervisor-fence.ts';
import { committedAdvice, noCommandAdvice, type GuestRecord } from '../../guest/guest-record.ts';
import { putBackRecord } from '../../guest/put-back-record.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { refuseUsedDisks } from '../../guest/disks/used-disks.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { withReceiver } from './receiver-there.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { findStayingGuest } from '../../guest/staying-guest.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';

export interface RevertRequest {
  guest: string;
  /** The user confirms that the new hardware will never run the guest again; it is then not contacted. */
  newHostIsGone: boolean;
  forceHalt: boolean;
  haltTimeoutMs: number;
  bootTimeoutMs: number;
}

export interface RevertReport {
  type: 'reverted';
  guest: string;
  /** Null where the hypervisor has no process for it. */
  pid: number | null;
  /** Null if it still ran here, so that it was not started. */
  consoleLog: string | null;
  /** Whether it was running on the new hardware until now; null if the new hardware was not contacted. */
  wasRunningThere: boolean | null;
}

/**
 * Takes a move back: halts the guest where it went, and starts it here from its old image (doc/migration.md).
 * If the move broke off before the boot, the new hardware is not contacted: the guest cannot run there.
 */
export async function revertMigration(
  request: RevertRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<RevertReport> {
  const { records, drivers, consoleLogOf } = dependencies;
  const record = await records.read(request.guest);
  if (record?.move === undefined) {
    throw new Failure('guest-not-found', `${request.guest} was not moved away from here by vmferry.`, {
      advice: 'See what is known here: vmferry guests',
    });
  }
  refuseWhileMoved(record);
  const { definition, state } = record;
  const { name } = definition;
  const { destination, committedAt } = record.move;
  if (committedAt !== undefined)
    throw new Failure(
      'guest-fenced',
      `The move of ${name} to ${destination} was committed on ${committedAt.slice(0, 10)}: it is not taken back.`,
      { advice: committedAdvice(name, destination) },
    );
  if (state === 'moving') {
    const running = await findStayingGuest(name, drivers, context);
    if (running !== null) {
      await records.write({ definition, state: 'running' });
      return {
        type: 'reverted',
        guest: name,
        pid: running.identity.pid ?? null,
        consoleLog: null,
        wasRunningThere: null,
      };
    }
  }
  // Everything that would prevent a start here is checked before anything is halted there.
  await requireStartableHere(definition, dependencies, context);
  const isAsked = state === 'moved' && !request.newHostIsGone;
  const wasRunningThere = isAsked ? await haltThere(request, record, dependencies, context) : null;

  await lowerFence(record, dependencies, context);
  await records.write({ definition, state: 'halted' });
  const consoleLog = consoleLogOf(name);
  let started: RunningGuest;
  try {
    started = await runStage(
      context,
      'start',
      `starting ${name} here from its old image`,
      () =>
        requireDriver(drivers, definition.driver).start(
          definition,
          { consoleLog, timeoutMs: request.bootTimeoutMs },
          context,
        ),
      ({ identity }) => `${name} is up here (${identity.label})`,
    );
  } catch (error) {
    // The fence stays. The next revert finds the guest halted there.
    if (record.fence !== undefined) {
      const patient = { ...context, signal: new AbortController().signal };
      await raiseFence(record, dependencies, patient).catch(() => undefined);
      throw error;
    }
    return putBackRecord(records, record, error);
  }
  await records.write({ definition, state: 'running' });
  return { type: 'reverted', guest: name, pid: started.identity.pid ?? null, consoleLog, wasRunningThere };
}

/** Throws Failure `image-missing`, `image-in-use`, or everything that prevents the driver from booting it. */
async function requireStartableHere(
  definition: GuestDefinition,
  { drivers }: MigrateDependencies,
  context: Context,
): Promise<void> {
  const { name } = definition;
  for (const { path } of definition.disks) {
    if (!existsSync(path))
      throw new Failure('image-missing', `${path}, the image of ${name}, is not here.`, {
        advice: `A revert starts ${name} from that image. Without it, move ${name} here again, or restore a backup: vmferry restore STORE ${name} --to DIRECTORY --start`,
      });
  }
  await refuseUsedDisks(definition, 'End that use first: two writers destroy a disk.');
  const problems = await requireDriver(drivers, definition.driver).checkBootable(definition, context);
  const [first, ...others] = problems;
  if (first !== undefined) throw combineFailures([first, ...others]);
}

async function haltThere(
  { forceHalt, haltTimeoutMs }: RevertRequest,
  { definition, move }: GuestRecord,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<boolean> {
  if (move === undefined || move.remoteCommand === null) {
    const { name } = definition;
    const destination = move?.destination ?? 'another machine';
    const how =
      move?.via === undefined
        ? `came from ${destination} and was taken back there`
        : `went to ${destination}, where no vmferry can halt it`;
    throw new Failure('guest-fenced', `${name} ${how}.`, {
      advice: noCommandAdvice(name, { ...move, destination }),
    });
  }
  const { destination, sshConfigFile, remoteCommand } = move;
  return runStage(
    context,
    'halt',
    `halting ${definition.name} on ${destination}`,
    () =>
      withReceiver({ destination, sshConfigFile, remoteCommand }, dependencies, context, async (receiver) => {
        const halt = {
          type: 'halt',
          name: definition.name,
          force: forceHalt,
          timeoutMs: haltTimeoutMs,
          destination: hostname(),
        } as const;
        return (await receiver.request(halt, 'halted', context.signal)).wasRunning;
      }),
    (wasRunning) =>
      wasRunning ? `${definition.name} is down there` : `${definition.name} was not running there`,
  );
}
