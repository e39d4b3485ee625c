import type { Context } from '../events.ts';
import { asFailure, Failure } from '../failure.ts';
import { requireDriver } from '../guest/require-driver.ts';
import type { RunningGuest } from '../guest/guest-driver.ts';
import { fenceOf } from '../guest/guest-record.ts';
import type { ResolvedGuest } from '../guest/resolve-guest.ts';
import type { GuestDependencies } from '../guest/guest-dependencies.ts';
import { awaitReleases } from '../guest/disks/await-releases.ts';
import { refuseWhileMoved } from '../guest/mover.ts';
import { noteBeforeHalt } from '../guest/note-state.ts';
import { runStage } from '../pipeline/run-stage.ts';
import { findStayingGuest } from '../guest/staying-guest.ts';
import { describeDisk, imagesNotClean, refuseUsed, watchForChanges } from './still-disks.ts';
import type { HoldOptions, StillGuest } from './still-guest.ts';

type Halted = Omit<StillGuest, 'guestWaits' | keyof AsyncDisposable>;

/** For a guest that does not run: its images are read as they are. */
export async function holdOffline({ definition }: ResolvedGuest, context: Context): Promise<StillGuest> {
  await refuseUsed(definition, null, []);
  const halted = await lookAtHalted({ definition }, context);
  return { ...halted, guestWaits: false, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Halts the guest. It is started again when the result is disposed of, or when something fails before. */
export async function holdByHalting(
  guest: ResolvedGuest,
  running: RunningGuest,
  options: HoldOptions,
  dependencies: GuestDependencies,
  context: Context,
): Promise<StillGuest> {
  const { definition, record } = guest;
  const { drivers, records } = dependencies;
  const driver = requireDriver(drivers, definition.driver);
  refuseWhileMoved(record);
  await refuseUsed(definition, running, drivers);
  await refuseUnbootable(guest, dependencies, context);
  // A guest that was moved away stays fenced, although it runs here.
  if (record?.move === undefined) {
    // A move that has claimed the guest keeps its claim.
    const copying = (await records.read(definition.name))?.copying;
    await noteBeforeHalt({ definition, ...(copying && { copying }) }, records);
  }
  const startAgain = () => startHalted(guest, options, dependencies, context);
  try {
    const { haltTimeoutMs: timeoutMs, forceHalt: force } = options;
    await runStage(
      context,
      'halt',
      `halting ${definition.name}`,
      async () => {
        await driver.halt(running, { timeoutMs, force }, context);
        await awaitReleases(definition, context.signal);
      },
      () => `${definition.name} is down`,
    );
    const halted = await lookAtHalted(guest, context);
    return { ...halted, guestWaits: true, [Symbol.asyncDispose]: startAgain };
  } catch (error) {
    await startAgain();
    throw error;
  }
}

/** Refuses to halt a guest that could not be started again. A taken name does not count: the guest itself has it. */
async function refuseUnbootable(
  { definition }: ResolvedGuest,
  { drivers }: GuestDependencies,
  context: Context,
): Promise<void> {
  const problems = await requireDriver(drivers, definition.driver).checkBootable(definition, context);
  const problem = problems.find(({ code }) => code !== 'guest-already-running');
  if (problem !== undefined) throw problem;
}

async function lookAtHalted(
  { definition }: Pick<ResolvedGuest, 'definition'>,
  context: Context,
): Promise<Halted> {
  const createdAt = new Date();
  const refuseChanged = await watchForChanges(definition, null, []);
  const disks = await Promise.all(definition.disks.map((disk) => describeDisk(disk, { isInUse: false })));
  const notClean = await imagesNotClean(definition);
  for (const path of notClean) {
    const message = `The file system on ${path} was not unmounted cleanly: its backup is as after a crash.`;
    context.report({ type: 'warning', code: 'after-a-crash', message });
  }
  const consistency = notClean.length === 0 ? 'halted' : 'after-a-crash';
  return { consistency, createdAt, disks, refuseChanged };
}

/** Never aborted: Ctrl-C waits for it. */
async function startHalted(
  { definition, record }: ResolvedGuest,
  { bootTimeoutMs }: HoldOptions,
  { drivers, records, consoleLogOf }: GuestDependencies,
  { report }: Context,
): Promise<void> {
  const { name } = definition;
  const context: Context = { report, signal: new AbortController().signal };
  try {
    if ((await findStayingGuest(name, drivers, context)) !== null) {
      // The halt failed. The guest may still shut down after the time limit.
      const message = `${name} still runs, but may be shutting down. If it goes down later, start it: vmferry start ${name}`;
      report({ type: 'warning', code: 'other', message });
      return;
    }
    const now = await records.read(name);
    const fence = now === null ? null : fenceOf(now);
    // The guest ran here in spite of a fence from before the halt, so that fence does not count.
    if (fence !== null && record?.move === undefined) throw fence;
    const options = { consoleLog: consoleLogOf(name), timeoutMs: bootTimeoutMs };
    await runStage(
      context,
      'start',
      `starting ${name} again`,
      () => requireDriver(drivers, definition.driver).start(definition, options, context),
      ({ identity }) => `${name} runs again (${identity.label}), console in ${options.consoleLog}`,
    );
  } catch (error) {
    const { message, advice } = asFailure(error);
    throw new Failure('guest-left-down', `${name} could not be started again: ${message}`, {
      advice: advice ?? `Start it with: vmferry start ${name}`,
      cause: error,
    });
  }
}
