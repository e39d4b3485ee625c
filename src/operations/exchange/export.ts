import { performance } from 'node:perf_hooks';
import type { Writable } from 'node:stream';
import type { Context } from '../../events.ts';
import { isImageOnly } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { tellOfEarlierStates } from '../../guest/preflight/earlier-states.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { holdStill } from '../../hold/hold-still.ts';
import type { StillGuest } from '../../hold/still-guest.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { Machine } from '../../system/machine.ts';
import { refuseSuspension } from '../../system/suspension.ts';
import { openContentDisks } from './content-disks.ts';
import type { ExportReport, ExportRequest } from './export-report.ts';
import { compressorFor, type FilterDependencies } from '../unpack/filters.ts';
import { openOutput, type OutputDependencies } from './output.ts';
import {
  requireDisks,
  writeExport,
  type ExportContent,
  type ExportWriter,
  type WrittenExport,
} from './write-export.ts';

export interface ExportDependencies extends GuestDependencies, FilterDependencies, OutputDependencies {
  version: string;
  now: () => Date;
  machine: () => Machine;
}

/**
 * Writes a guest, or an image, to one file (doc/formats.md). Throws Failure `usage` (an image of several disks), `program-missing`,
 * `target-exists` and others of the output, and what `holdStill` and `openSourceDisk` throw. A guest that was held goes on in any case.
 */
export async function exportGuest(
  request: ExportRequest,
  stdout: Writable,
  dependencies: ExportDependencies,
  context: Context,
): Promise<ExportReport> {
  const startedMs = performance.now();
  const { guest: name, content, format, compression } = request;
  const compress = compressorFor(format, compression, dependencies);
  const guest = await resolveGuest(name, dependencies, context, request.imageFormat);
  refuseWhileMoved(guest.record);
  tellOfEarlierStates(guest, context);
  requireDisks(guest.definition.name, guest.definition.disks.length, content);
  await using output = await openOutput(request.output, stdout, dependencies, context);
  const writer = { output, compress, version: dependencies.version };
  const { still, disks, sizeBytes, letGo } = await writeHeld(guest, request, writer, dependencies, context);
  await output.publish();
  if (letGo !== null) throw letGo;
  return {
    type: 'exported',
    guest: guest.definition.name,
    snapshot: null,
    output: request.output === null ? null : output.path,
    consistency: still.consistency,
    disks,
    sizeBytes,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

interface Written extends WrittenExport {
  still: Pick<StillGuest, 'consistency'>;
  /** Everything was written, but the guest could not be made to go on. */
  letGo: Error | null;
}

/** Holds the guest while its disks are written to the output. */
async function writeHeld(
  guest: ResolvedGuest,
  request: ExportRequest,
  writer: ExportWriter,
  dependencies: ExportDependencies,
  context: Context,
): Promise<Written> {
  const { name } = guest.definition;
  await using held = new Resources();
  if (guest.running !== null)
    held.hold(refuseSuspension(() => context.report({ type: 'notice', message: waitingText(name) })));
  const still = held.hold(await holdStill(guest, request.hold, request, dependencies, context));
  const reading = {
    everyBlock: request.everyBlock,
    toldSnapshots: guest.earlierStates?.insideImages,
  };
  const disks = await openContentDisks(still, reading, held, context);
  const about = aboutGuest(guest, still, dependencies.machine());
  const written = await runStage(
    context,
    'export',
    `exporting ${name}`,
    () => writeExport({ about, disks }, request.content, writer, context),
    () => `exported ${name}`,
  );
  await still.refuseChanged();
  try {
    await held[Symbol.asyncDispose]();
    return { still, ...written, letGo: null };
  } catch (error) {
    return { still, ...written, letGo: error as Error };
  }
}

function waitingText(name: string): string {
  return `Ctrl-Z has no effect now: ${name} may wait for this export. Ctrl-C ends the export.`;
}

function aboutGuest(
  { definition }: ResolvedGuest,
  { consistency, createdAt }: StillGuest,
  { host, id }: Machine,
): ExportContent['about'] {
  return {
    createdAt: createdAt.toISOString(),
    host,
    ...(id !== null && { machine: id }),
    guest: definition.name,
    consistency,
    definition: isImageOnly(definition) ? null : definition,
  };
}
