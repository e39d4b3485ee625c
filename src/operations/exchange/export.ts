import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import type { Writable } from 'node:stream';
import { manifestText, MANIFEST_NAME } from '../../archive/manifest.ts';
import { FINGERPRINTS_NAME } from '../../archive/fingerprints.ts';
import { CHECKSUMS_NAME } from '../../archive/checksums.ts';
import { archivePieces, imagePieces, PIECE_BYTES, type ArchivedDisk } from '../../archive/write-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isImageOnly } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { holdStill } from '../../hold/hold-still.ts';
import type { StillGuest } from '../../hold/still-guest.ts';
import { readExactlyInto } from '../../image/formats/raw/read-exactly.ts';
import { targetNameOf } from '../../image/target/target-format.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { Machine } from '../../system/machine.ts';
import { refuseSuspension } from '../../system/suspension.ts';
import { tellOfContainer } from '../../transfer/container-notices.ts';
import { warnOfDoubtfulFileSystems, warnOfUnknownFileSystems } from '../../transfer/file-system-warnings.ts';
import { openSourceDisk, type SourceDisk } from '../../transfer/source-disk.ts';
import { storedDiskNames } from '../backup/stored-disk-names.ts';
import type { ExportedDisk, ExportReport, ExportRequest } from './export-report.ts';
import { compressorFor, type FilterDependencies } from './filters.ts';
import { openOutputFile, openOutputStream, type ExportOutput } from './output.ts';

export interface ExportDependencies extends GuestDependencies, FilterDependencies {
  version: string;
  now: () => Date;
  machine: () => Machine;
  /** Random hex digits. */
  randomHex: (digits: number) => string;
}

/** The archive's own members. */
const ownNames = [MANIFEST_NAME, FINGERPRINTS_NAME, CHECKSUMS_NAME];

/** A disk that stands still, opened. */
interface OpenedDisk {
  name: string;
  device: string;
  disk: SourceDisk;
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
  requireDisks(guest, content);
  await using output =
    request.output === null
      ? openOutputStream(stdout)
      : await openOutputFile(request.output, dependencies.randomHex(8));
  const writing = { output, compress, dependencies };
  const { still, disks, sizeBytes, letGo } = await writeHeld(guest, request, writing, context);
  await output.publish();
  if (letGo !== null) throw letGo;
  return {
    type: 'exported',
    guest: guest.definition.name,
    output: request.output,
    consistency: still.consistency,
    disks,
    sizeBytes,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

function requireDisks(
  { definition: { name, disks } }: ResolvedGuest,
  content: ExportRequest['content'],
): void {
  if (disks.length === 0) throw new Failure('guest-unsupported', `${name} has no disk to export.`);
  if (content === 'image' && disks.length > 1)
    throw new Failure('usage', `${name} has ${disks.length} disks, and a bare image holds one.`, {
      advice: `Export an archive: -o ${name}.tar.zst`,
    });
}

interface Writing {
  output: ExportOutput;
  compress: ReturnType<typeof compressorFor>;
  dependencies: ExportDependencies;
}

interface Written {
  still: Pick<StillGuest, 'consistency'>;
  disks: readonly ExportedDisk[];
  sizeBytes: number;
  /** Everything was written, but the guest could not be made to go on. */
  letGo: Error | null;
}

/** Holds the guest while its disks are written to the output. */
async function writeHeld(
  guest: ResolvedGuest,
  request: ExportRequest,
  writing: Writing,
  context: Context,
): Promise<Written> {
  const { name } = guest.definition;
  await using held = new Resources();
  if (guest.running !== null)
    held.hold(refuseSuspension(() => context.report({ type: 'notice', message: waitingText(name) })));
  const still = held.hold(await holdStill(guest, request.hold, request, writing.dependencies, context));
  const opened = await openDisks(still, request, held, context);
  const written = await runStage(
    context,
    'export',
    `exporting ${name}`,
    () => writeDisks(guest, still, opened, request, writing, context),
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

async function openDisks(
  still: StillGuest,
  { everyBlock }: ExportRequest,
  held: Resources,
  context: Context,
): Promise<OpenedDisk[]> {
  const names = storedDiskNames([
    ...ownNames,
    ...still.disks.map(({ image, format }) => targetNameOf({ path: image, format }, 'raw')),
  ]).slice(ownNames.length);
  const opened: OpenedDisk[] = [];
  for (const [index, one] of still.disks.entries()) {
    const disk = held.hold(await openSourceDisk(one, { everyBlock }));
    tellOfContainer(disk, context);
    if (!everyBlock) {
      warnOfUnknownFileSystems(disk, context);
      warnOfDoubtfulFileSystems(disk, context);
    }
    opened.push({ name: names[index] ?? '', device: one.device, disk });
  }
  return opened;
}

async function writeDisks(
  { definition }: ResolvedGuest,
  still: StillGuest,
  opened: readonly OpenedDisk[],
  request: ExportRequest,
  { output, compress, dependencies: { version, machine } }: Writing,
  { signal, report }: Context,
): Promise<{ disks: ExportedDisk[]; sizeBytes: number }> {
  const sums = new Map<string, string>();
  const totalBytes = opened.reduce((sum, { disk }) => sum + disk.readBytes, 0);
  let doneBytes = 0;
  let sizeBytes = 0;
  const onRead = (bytes: number) => (doneBytes += bytes);
  const archived = opened.map((one) => archivedDisk(one, onRead));
  const onDisk = (name: string, sum: string) => void sums.set(name, sum);
  const [only] = archived;
  const here = machine();
  const manifest = manifestText({
    format: 'vmferry-archive',
    version: 1,
    createdBy: `vmferry ${version}`,
    createdAt: still.createdAt.toISOString(),
    host: here.host,
    ...(here.id !== null && { machine: here.id }),
    guest: definition.name,
    consistency: still.consistency,
    fingerprints: FINGERPRINTS_NAME,
    definition: isImageOnly(definition) ? null : definition,
    disks: opened.map(({ name, device, disk }) => ({
      name,
      device,
      sizeBytes: disk.source.sizeBytes,
      dataBytes: disk.readBytes,
    })),
  });
  const pieces =
    request.content === 'image' && only !== undefined
      ? imagePieces(only, onDisk)
      : archivePieces({ manifest, createdAt: still.createdAt, disks: archived, onDisk });
  for await (const piece of compress(paced(pieces, signal), signal)) {
    signal.throwIfAborted();
    await output.write(piece);
    sizeBytes += piece.length;
    report({ type: 'progress', stage: 'export', doneBytes, totalBytes, sentBytes: sizeBytes });
  }
  const disks = opened.map(({ name, disk }) => ({
    name,
    sizeBytes: disk.source.sizeBytes,
    holeBytes: disk.holeBytes,
    freeBytes: disk.freeBytes,
    readBytes: disk.readBytes,
    sha256: sums.get(name) ?? '',
  }));
  return { disks, sizeBytes };
}

function archivedDisk({ name, disk }: OpenedDisk, onRead: (bytes: number) => void): ArchivedDisk {
  const { source, extents } = disk;
  const memory = Buffer.allocUnsafeSlow(PIECE_BYTES);
  return {
    name,
    sizeBytes: source.sizeBytes,
    extents,
    read(offset, length) {
      onRead(length);
      return readExactlyInto(memory.subarray(0, length), source.path, source.fd, offset);
    },
  };
}

/** The pieces that are not empty. Gives everything else a turn between them. */
async function* paced(
  pieces: Iterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const piece of pieces) {
    signal.throwIfAborted();
    if (piece.length > 0) yield piece;
    else await setImmediate();
  }
}
