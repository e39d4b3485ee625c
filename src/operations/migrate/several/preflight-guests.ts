import { dirname } from 'node:path';
import type { Context } from '../../../events.ts';
import { asFailure, combineFailures, Failure } from '../../../failure.ts';
import { isImageOnly } from '../../../guest/definition.ts';
import { ordinaryMemoryBytes } from '../../../guest/preflight/check-memory.ts';
import { collectWarnings } from '../../../pipeline/collect-warnings.ts';
import { findArchive } from '../../unpack/open-guest.ts';
import type { MigrateDependencies } from '../migrate-dependencies.ts';
import type { MigrationPlan } from '../migration-report.ts';
import { planMigration } from '../plan-migration.ts';
import { preflight, type Move } from '../preflight.ts';
import type { MoveGuestsRequest } from './moves-report.ts';
import { conflictsWith, takenBy, type GuestToMove } from './together.ts';

/** Exit statuses of a new hardware that cannot be reached, or has no vmferry: it would be the same for every guest. */
const OF_THE_HOST: readonly number[] = [12, 13];

/**
 * The preflight of all guests, one after the other, each as if the earlier ones were there already. Changes nothing. Throws one
 * Failure with everything that is wrong, each with its guest.
 * @returns with `dryRun` the plan of each
 */
export async function preflightGuests(
  names: readonly string[],
  { requestFor, dryRun }: Pick<MoveGuestsRequest, 'requestFor' | 'dryRun'>,
  dependencies: MigrateDependencies,
  contextOf: (guest: string) => Context,
): Promise<MigrationPlan[]> {
  const plans: MigrationPlan[] = [];
  const problems: Failure[] = [];
  const earlier: GuestToMove[] = [];
  const images: string[] = [];
  for (const name of names) {
    const { watched: context, warnings } = collectWarnings(contextOf(name));
    const own: Failure[] = [];
    try {
      const request = { ...requestFor(name), besides: takenBy(earlier) };
      if ((await findArchive(name, request, dependencies, context)) !== null) throw ofArchive();
      await using move = await preflight(request, dependencies, context);
      const memoryBytes = await ordinaryMemoryBytes(move.there.definition, dependencies.drivers);
      const guest = guestToMove(name, move, memoryBytes);
      own.push(...conflictsWith(guest, earlier));
      if (move.guest.running === null && !isImageOnly(move.guest.definition)) own.push(notRunning(name));
      earlier.push(guest);
      if (dryRun) plans.push({ ...(await planMigration(move, images, context)), warnings });
      images.push(...rawImages(move));
    } catch (error) {
      context.signal.throwIfAborted();
      own.push(...asFailure(error).all);
    }
    problems.push(...own.map((problem) => problem.withMessage(`${name}: ${problem.message}`)));
    if (own.some(({ exitStatus }) => OF_THE_HOST.includes(exitStatus))) break;
  }
  const [first, ...others] = problems;
  if (first !== undefined) throw combineFailures([first, ...others]);
  return plans;
}

function guestToMove(
  typed: string,
  { guest, places, devices, disks }: Move,
  memoryBytes: number,
): GuestToMove {
  const isDevice = (path: string): boolean => devices.some((device) => device.path === path);
  return {
    typed,
    definition: guest.definition,
    sources: guest.definition.disks.map(({ path }) => path),
    targets: places.map(({ path }) => path),
    takes: {
      files: places.flatMap(({ path }, index) =>
        isDevice(path) ? [] : [{ directory: dirname(path), neededBytes: disks[index]?.readBytes ?? 0 }],
      ),
      memoryBytes,
    },
  };
}

/** Of which the guests that move later take what they share (`ChunksThere`). */
function rawImages({ places }: Move): string[] {
  return places.flatMap(({ disk, format }) =>
    format === 'raw' && (disk.format ?? 'raw') === 'raw' ? [disk.path] : [],
  );
}

function ofArchive(): Failure {
  return new Failure('usage', 'It is in an archive, and several guests are to move.', {
    advice: 'Move it by itself.',
  });
}

function notRunning(name: string): Failure {
  return new Failure('guest-not-running', 'It does not run here.', {
    advice: `Start it first (vmferry start ${name}), or move it by itself: it is then booted on the new hardware.`,
  });
}
