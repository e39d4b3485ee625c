import { setImmediate } from 'node:timers/promises';
import { CHECKSUMS_NAME } from '../../archive/checksums.ts';
import { FINGERPRINTS_NAME } from '../../archive/fingerprints.ts';
import { manifestText, MANIFEST_NAME, type Manifest } from '../../archive/manifest.ts';
import { archivePieces, imagePieces, type ArchivedDisk } from '../../archive/write-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { storedDiskNames } from '../backup/stored-disk-names.ts';
import type { ExportedDisk, ExportFile } from './export-report.ts';
import type { Compressor } from '../unpack/filters.ts';
import type { ExportOutput } from './output.ts';

/** The archive's own members. */
const ownNames = [MANIFEST_NAME, FINGERPRINTS_NAME, CHECKSUMS_NAME];

/** A disk that is to be written. */
export interface ContentDisk
  extends ArchivedDisk, Pick<ExportedDisk, 'holeBytes' | 'freeBytes' | 'readBytes'> {
  /** Its name in the definition. */
  device: string;
}

/** What an export writes. */
export interface ExportContent {
  about: Pick<Manifest, 'guest' | 'consistency' | 'createdAt' | 'host' | 'machine' | 'definition'>;
  disks: readonly ContentDisk[];
}

export interface ExportWriter {
  output: ExportOutput;
  compress: Compressor;
  /** Of this program. */
  version: string;
}

export interface WrittenExport {
  disks: readonly ExportedDisk[];
  sizeBytes: number;
}

/** The names of the disks in an archive. @param files names of their images */
export function archivedNames(files: readonly string[]): string[] {
  return storedDiskNames([...ownNames, ...files]).slice(ownNames.length);
}

/** Throws Failure `guest-unsupported` (no disk), or `usage` (a bare image of several disks). */
export function requireDisks(name: string, count: number, content: ExportFile['content']): void {
  if (count === 0) throw new Failure('guest-unsupported', `${name} has no disk to export.`);
  if (content === 'image' && count > 1)
    throw new Failure('usage', `${name} has ${count} disks, and a bare image holds one.`, {
      advice: `Export an archive: -o ${name}.tar.zst`,
    });
}

/** Writes all of it to the output, which is not published. */
export async function writeExport(
  { about, disks }: ExportContent,
  content: ExportFile['content'],
  { output, compress, version }: ExportWriter,
  { signal, report }: Context,
): Promise<WrittenExport> {
  const sums = new Map<string, string>();
  const totalBytes = disks.reduce((sum, { readBytes }) => sum + readBytes, 0);
  let doneBytes = 0;
  let sizeBytes = 0;
  const watched = disks.map((disk) => ({
    ...disk,
    read(offset: number, length: number) {
      doneBytes += length;
      return disk.read(offset, length);
    },
  }));
  const onDisk = (name: string, sum: string) => void sums.set(name, sum);
  const [only] = watched;
  const pieces =
    content === 'image' && only !== undefined
      ? imagePieces(only, onDisk)
      : archivePieces({
          manifest: manifestOf(about, disks, version),
          createdAt: new Date(about.createdAt),
          disks: watched,
          onDisk,
        });
  for await (const piece of compress(paced(pieces, signal), signal)) {
    signal.throwIfAborted();
    await output.write(piece);
    sizeBytes += piece.length;
    report({ type: 'progress', stage: 'export', doneBytes, totalBytes, sentBytes: sizeBytes });
  }
  const written = disks.map(({ name, sizeBytes: diskBytes, holeBytes, freeBytes, readBytes }) => ({
    name,
    sizeBytes: diskBytes,
    holeBytes,
    freeBytes,
    readBytes,
    sha256: sums.get(name) ?? '',
  }));
  return { disks: written, sizeBytes };
}

function manifestOf(about: ExportContent['about'], disks: readonly ContentDisk[], version: string): string {
  return manifestText({
    format: 'vmferry-archive',
    version: 1,
    createdBy: `vmferry ${version}`,
    ...about,
    fingerprints: FINGERPRINTS_NAME,
    disks: disks.map(({ name, device, sizeBytes, readBytes }) => ({
      name,
      device,
      sizeBytes,
      dataBytes: readBytes,
    })),
  });
}

/** The pieces that are not empty. Gives everything else a turn between them. */
async function* paced(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    signal.throwIfAborted();
    if (piece.length > 0) yield piece;
    else await setImmediate();
  }
}
