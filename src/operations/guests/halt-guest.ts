import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { DiskDefinition } from '../../guest/definition.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { findRunningGuest, resolveGuest } from '../../guest/resolve-guest.ts';
import { isUnclean } from '../../image/unclean.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { noteBeforeHalt, noteState } from '../../guest/note-state.ts';
import { runStage } from '../../pipeline/run-stage.ts';

export interface HaltRequest {
  guest: string;
  forceHalt: boolean;
  /** Time limit for each way of halting it. */
  haltTimeoutMs: number;
  /** A guest that does not run is no failure. */
  ifRunning?: boolean;
}

export interface HaltReport {
  type: 'halted';
  guest: string;
  /** Images with a file system that was not unmounted cleanly. */
  notClean: readonly string[];
}

/**
 * Halts a guest, and remembers how to start it again (`startGuest`). Throws Failure `guest-not-running`, `halt-failed`, and
 * what `resolveGuest` throws.
 */
export async function haltGuest(
  request: HaltRequest,
  dependencies: Pick<GuestDependencies, 'drivers' | 'records'>,
  context: Context,
): Promise<HaltReport> {
  const { drivers, records } = dependencies;
  if (request.ifRunning === true && (await findRunningGuest(request.guest, drivers, context)) === null)
    return { type: 'halted', guest: request.guest, notClean: [] };
  const { definition, running, record } = await resolveGuest(request.guest, dependencies, context);
  if (running === null)
    throw new Failure('guest-not-running', `${definition.name} does not run here.`, {
      advice: 'See which guests run: vmferry guests',
    });
  // A guest that was moved away stays fenced, although it was started here.
  const isFenced = record?.move !== undefined;
  // A move that copies it keeps its claim: no other may begin meanwhile.
  const noted = { definition, ...(record?.copying && { copying: record.copying }) };
  if (!isFenced) await noteBeforeHalt(noted, records);
  await runStage(
    context,
    'halt',
    `halting ${definition.name}`,
    () =>
      requireDriver(drivers, definition.driver).halt(
        running,
        { timeoutMs: request.haltTimeoutMs, force: request.forceHalt },
        context,
      ),
    () => `${definition.name} is down`,
  );
  if (!isFenced) await noteState({ ...noted, state: 'halted' }, records, context);
  const notClean: string[] = [];
  for (const disk of definition.disks) {
    if (!(await isKnownUnclean(disk))) continue;
    const { path } = disk;
    notClean.push(path);
    const message = `The file system on ${path} was not unmounted cleanly.`;
    context.report({ type: 'warning', code: 'file-system-not-clean', message });
  }
  return { type: 'halted', guest: definition.name, notClean };
}

async function isKnownUnclean(disk: DiskDefinition): Promise<boolean> {
  try {
    return await isUnclean(disk);
  } catch (error) {
    // The image is missing or cannot be read. The guest is still down.
    if (error instanceof Failure) return false;
    throw error;
  }
}
