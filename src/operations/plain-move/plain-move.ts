import { performance } from 'node:perf_hooks';
import type { Context } from '../../events.ts';
import { combineFailures, Failure, failureOrReason } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import type { DefinitionLanguage } from '../../guest/definition-language.ts';
import { isImageOnly, type GuestDefinition } from '../../guest/definition.ts';
import { withImage } from '../../guest/disks/with-image.ts';
import { lowerFence, raiseFence } from '../../guest/hypervisor-fence.ts';
import { tellOfEarlierStates } from '../../guest/preflight/earlier-states.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { holdStill } from '../../hold/hold-still.ts';
import type { StillGuest } from '../../hold/still-guest.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { refuseSuspension } from '../../system/suspension.ts';
import { openContentDisks } from '../exchange/content-disks.ts';
import { compressorFor, type FilterDependencies } from '../unpack/filters.ts';
import { noConversion } from '../migrate/conversion/guest-there.ts';
import type { MigrateDependencies } from '../migrate/migrate-dependencies.ts';
import { claimGuest, dropClaim } from '../migrate/passes/claim-guest.ts';
import { placeDisks } from '../migrate/place-disks.ts';
import { DisksThere, type PlacedContent } from './disks-there.ts';
import type { PlainMovedDisk, PlainMoveReport, PlainMoveRequest } from './plain-move-report.ts';
import { RemoteShell } from './remote-shell.ts';
import { lookScript, parseLook, type Look } from './scripts.ts';

export interface PlainMoveDependencies extends MigrateDependencies, FilterDependencies {
  loadLanguages: () => Promise<readonly DefinitionLanguage[]>;
  /** Random hex digits. */
  randomHex: (digits: number) => string;
}

/**
 * Moves a guest to a machine without vmferry, and without Node: halts it, and sends its disks through bzip2, ssh, bunzip2 and dd. Nothing
 * has its name there before sha256sum found all of it right there. Then the guest is fenced here, and the person starts it there. If
 * something fails before, it is started here again, and nothing is left there. Throws Failure `program-missing`, `target-missing`,
 * `target-not-writable`, `target-exists`, `target-full`, `transfer-failed`, `verification-failed`, and what `connectSsh` and `holdStill` throw.
 */
export async function movePlainly(
  request: PlainMoveRequest,
  dependencies: PlainMoveDependencies,
  context: Context,
): Promise<PlainMoveReport> {
  const startedMs = performance.now();
  const { destination, sshConfigFile } = request.target;
  const compress = compressorFor('bzip2', 'auto', dependencies);
  const guest = await resolveGuest(request.guest, dependencies, context, request.imageFormat);
  refuseWhileMoved(guest.record);
  tellOfEarlierStates(guest, context);
  const { definition } = guest;
  const { directory, places } = placeDisks(definition, {
    target: request.target,
    disks: [],
    format: 'raw',
    conversion: noConversion,
  });
  await using connection = await dependencies.connect(destination, { sshConfigFile }, context);
  const shell = new RemoteShell(connection);
  const targets = places.map(({ path }) => path);
  const look = await lookThere(shell, directory ?? '/', targets, context);
  const there = new DisksThere(shell, look.isSparse, compress, dependencies.randomHex(8));
  const relocated = relocatedTo(definition, targets);
  const startText = await startTextOf(relocated, dependencies);
  const move = { destination, directory, sshConfigFile, remoteCommand: null, via: 'bzip2' } as const;
  const claim = { request, dependencies, guest };
  await using claimed = new Resources();
  await claimGuest(claim);
  claimed.hold({
    async [Symbol.asyncDispose]() {
      await dropClaim(claim, context);
    },
  });
  const reading = {
    everyBlock: request.everyBlock,
    toldSnapshots: guest.earlierStates?.insideImages,
  };
  const disks = await withGuestDown(guest, request, dependencies, context, async (still, held) => {
    try {
      const contents = await openContentDisks(still, reading, held, context);
      requireRoom(contents, look, shell.host, directory);
      const placed = contents.map((disk, index) => ({
        disk,
        source: definition.disks[index]?.path ?? '',
        target: targets[index] ?? '',
      }));
      const moved = await sendAll(placed, there, definition.name, shell.host, context);
      await still.refuseChanged();
      await there.publish(context.signal);
      if (!isImageOnly(definition))
        await raiseFence({ definition, state: 'moved', move }, dependencies, context);
      // Last check, after the fence: if something has started the guest here again, it stays here.
      await still.refuseChanged();
      await there.settle(context);
      return moved;
    } catch (error) {
      await there.remove(context);
      await unfence(definition, dependencies, context);
      throw error;
    }
  });
  const seconds = (performance.now() - startedMs) / 1000;
  return { type: 'moved-via', via: 'bzip2', guest: definition.name, destination, disks, startText, seconds };
}

/** A fence that was cut short would keep the guest from being started here again. */
async function unfence(
  { name }: GuestDefinition,
  dependencies: PlainMoveDependencies,
  { report }: Context,
): Promise<void> {
  const { records } = dependencies;
  const record = await records.read(name);
  if (record?.state !== 'moved' || record.move?.via === undefined) return;
  await lowerFence(record, dependencies, { report, signal: new AbortController().signal });
  await records.write({ definition: record.definition, state: 'halted' });
}

/** Throws one Failure with everything that is wrong there. */
async function lookThere(
  shell: RemoteShell,
  directory: string,
  targets: readonly string[],
  context: Context,
): Promise<Look> {
  return runStage(
    context,
    'preflight',
    `looking at ${shell.host}`,
    async () => {
      const look = parseLook(await shell.run(lookScript(directory, targets), context.signal));
      const [first, ...others] = problemsOf(look, shell.host, directory);
      if (first !== undefined) throw combineFailures([first, ...others]);
      return look;
    },
    () => `${shell.host} has what is needed`,
  );
}

function problemsOf(
  { missingPrograms, directory: state, taken, hasLinks }: Look,
  host: string,
  directory: string,
): Failure[] {
  const problems: Failure[] = [];
  if (missingPrograms.length > 0)
    problems.push(
      new Failure('program-missing', `${host} lacks ${missingPrograms.join(', ')}.`, {
        advice: 'Install them there.',
      }),
    );
  if (state === 'missing')
    problems.push(
      new Failure('target-missing', `There is no directory ${directory} on ${host}.`, {
        advice: `Make it there, or name another one: --to ${host}:/DIRECTORY`,
      }),
    );
  if (state === 'not-writable')
    problems.push(new Failure('target-not-writable', `${directory} on ${host} may not be written to.`));
  if (!hasLinks)
    problems.push(
      new Failure(
        'target-not-writable',
        `${directory} on ${host} has no hard links, which a move by --via needs.`,
        {
          advice: `Name a directory on a file system of Linux: --to ${host}:/DIRECTORY`,
        },
      ),
    );
  for (const path of taken)
    problems.push(
      new Failure('target-exists', `${path} exists already on ${host}.`, {
        advice: 'It was not changed. Move it away, or name another directory.',
      }),
    );
  return problems;
}

function requireRoom(
  contents: readonly { readBytes: number; sizeBytes: number }[],
  { freeBytes, isSparse }: Look,
  host: string,
  directory: string | null,
): void {
  const neededBytes = contents.reduce(
    (sum, { readBytes, sizeBytes }) => sum + (isSparse ? readBytes : sizeBytes),
    0,
  );
  if (freeBytes === null || freeBytes >= neededBytes) return;
  throw new Failure(
    'target-full',
    `${directory ?? 'The directory'} on ${host} has ${formatBytes(freeBytes)} left, and ${formatBytes(neededBytes)} are needed.`,
    { advice: 'Make room there, or name another directory.' },
  );
}

/** Halts the guest for the work. If that fails, starts it again; if not, the guest stays down. */
async function withGuestDown<Result>(
  guest: ResolvedGuest,
  request: PlainMoveRequest,
  dependencies: PlainMoveDependencies,
  context: Context,
  work: (still: StillGuest, held: Resources) => Promise<Result>,
): Promise<Result> {
  const { name } = guest.definition;
  using _suspension = refuseSuspension(() =>
    context.report({ type: 'notice', message: `Ctrl-Z has no effect now: ${name} is being moved.` }),
  );
  const still = await holdStill(guest, 'halt', request, dependencies, context);
  await using held = new Resources();
  try {
    return await work(still, held);
  } catch (error) {
    await held[Symbol.asyncDispose]();
    const failure = failureOrReason(error, context.signal);
    await still[Symbol.asyncDispose]();
    throw failure;
  }
}

async function sendAll(
  placed: readonly PlacedContent[],
  there: DisksThere,
  name: string,
  host: string,
  context: Context,
): Promise<PlainMovedDisk[]> {
  const totalBytes = placed.reduce((sum, { disk }) => sum + disk.sizeBytes, 0);
  let doneBytes = 0;
  let sentBytes = 0;
  const onPiece = (read: number, sent: number) => {
    doneBytes += read;
    sentBytes += sent;
    context.report({ type: 'progress', stage: 'copy', doneBytes, totalBytes, sentBytes });
  };
  return runStage(
    context,
    'copy',
    `sending ${name} to ${host} through bzip2`,
    async () => {
      const moved: PlainMovedDisk[] = [];
      for (const one of placed) moved.push(await there.write(one, onPiece, context));
      return moved;
    },
    () => `sha256sum on ${host} found every disk right`,
  );
}

function relocatedTo(definition: GuestDefinition, targets: readonly string[]): GuestDefinition {
  const disks = definition.disks.map((disk, index) =>
    withImage(disk, { path: targets[index] ?? disk.path, format: 'raw' }),
  );
  return { ...definition, disks };
}

async function startTextOf(
  definition: GuestDefinition,
  { loadLanguages }: PlainMoveDependencies,
): Promise<string | null> {
  const languages = await loadLanguages();
  return languages.find(({ kind }) => kind === definition.driver)?.write(definition) ?? null;
}
