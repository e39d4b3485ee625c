import { performance } from 'node:perf_hooks';
import type { Writable } from 'node:stream';
import type { Context } from '../../events.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { formatTimeWithZone } from '../../figures.ts';
import { targetNameOf } from '../../image/target/target-format.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import { readChosenSnapshot } from '../restore/chosen-snapshot.ts';
import { ChunkPlaces } from '../restore/chunk-places.ts';
import { PackReader } from '../restore/pack-reader.ts';
import { requireFewPages } from '../restore/require-few-pages.ts';
import { PageReader, readStoredMap } from '../restore/snapshot-map.ts';
import type { SnapshotReference } from '../store-access/choose-snapshot.ts';
import type { ReadSession } from '../store-access/store-session.ts';
import type { ExportFile, ExportReport } from './export-report.ts';
import { compressorFor, type FilterDependencies } from '../unpack/filters.ts';
import { openOutput, type OutputDependencies } from './output.ts';
import { StoredDisk } from './stored-disk.ts';
import { archivedNames, requireDisks, writeExport, type ContentDisk } from './write-export.ts';

export interface SnapshotExportDependencies extends FilterDependencies, OutputDependencies {
  version: string;
}

/**
 * Writes a snapshot of a store to one file, without an image in between. Throws Failure `snapshot-missing`, `store-damaged`, and as
 * `exportGuest`.
 */
export async function exportSnapshot(
  reference: SnapshotReference,
  file: ExportFile,
  stdout: Writable,
  session: ReadSession,
  dependencies: SnapshotExportDependencies,
  context: Context,
): Promise<ExportReport> {
  const startedMs = performance.now();
  const compress = compressorFor(file.format, file.compression, dependencies);
  const { snapshot, folder } = await readChosenSnapshot(reference, session, context);
  const { guest, id, consistency, createdAt } = snapshot;
  requireDisks(guest, snapshot.disks.length, file.content);
  await using output = await openOutput(file.output, stdout, dependencies, context);
  await using held = new Resources();
  const disks = await openDisks(snapshot, folder, session, dependencies, held, context);
  const writer = { output, compress, version: dependencies.version };
  const written = await runStage(
    context,
    'export',
    `exporting ${guest} as it was at ${formatTimeWithZone(createdAt)}`,
    () => writeExport({ about: aboutSnapshot(snapshot), disks }, file.content, writer, context),
    () => `exported ${guest}`,
  );
  await output.publish();
  const path = file.output === null ? null : output.path;
  const seconds = (performance.now() - startedMs) / 1000;
  return { type: 'exported', guest, snapshot: id, output: path, consistency, ...written, seconds };
}

function aboutSnapshot({ definition, consistency, createdAt, host, machine }: Snapshot) {
  return {
    createdAt,
    host,
    ...(machine !== undefined && { machine }),
    guest: definition.name,
    consistency,
    definition: isImageOnly(definition) ? null : definition,
  };
}

async function openDisks(
  { definition, disks }: Snapshot,
  folder: GuestReader,
  { opened }: ReadSession,
  { pool }: FilterDependencies,
  held: Resources,
  { signal, report }: Context,
): Promise<ContentDisk[]> {
  requireFewPages(disks);
  const packs = await PackReader.open(folder, signal);
  const index = await packs.readIndex(
    ({ message }) => report({ type: 'warning', code: 'store-incomplete', message }),
    signal,
  );
  const options = { places: new ChunkPlaces(index, packs), packs, pool, sealKey: opened.key, signal };
  const pages = new PageReader(folder);
  // The disks of a snapshot are in the order of its definition.
  const formatOf = (at: number) => definition.disks[at]?.format ?? 'raw';
  const names = archivedNames(
    disks.map(({ name }, at) => targetNameOf({ path: name, format: formatOf(at) }, 'raw')),
  );
  const content: ContentDisk[] = [];
  for (const [at, disk] of disks.entries()) {
    const { sizeBytes } = disk;
    const map = await readStoredMap(disk, pages, signal);
    const stored = held.hold(new StoredDisk(disk.name, map, options));
    await stored.requireComplete();
    const readBytes = stored.plainBytes;
    content.push({
      name: names[at] ?? '',
      device: definition.disks[at]?.device ?? '',
      sizeBytes,
      readBytes,
      holeBytes: sizeBytes - readBytes,
      freeBytes: 0,
      extents: () => stored.extents(),
      read: (offset, length) => stored.read(offset, length),
    });
  }
  return content;
}
