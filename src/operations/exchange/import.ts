import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import { CHECKSUMS_NAME, LONGEST_CHECKSUMS_BYTES, parseChecksums } from '../../archive/checksums.ts';
import {
  LONGEST_MANIFEST_BYTES,
  MANIFEST_NAME,
  parseManifest,
  type Manifest,
} from '../../archive/manifest.ts';
import { readArchive, type ReadMember } from '../../archive/read-archive.ts';
import { ByteReader } from '../../codec/byte-reader.ts';
import { compressionOf, HEAD_BYTES, isTar, splitCompressedName } from '../../codec/compression-format.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { PlacedBytes } from '../../transfer/disk-import.ts';
import { decompressed, type FilterDependencies } from './filters.ts';
import { ImportedDisks } from './import-disks.ts';
import type { ImportReport, ImportRequest } from './import-report.ts';
import { isDirectory } from './import-target.ts';
import { openInputFile, openInputStream, type ImportInput } from './input.ts';
import { refuseContainer } from './refuse-container.ts';

/** The name of an image from standard input. */
const UNNAMED = 'disk.img';

/**
 * Unpacks an archive or a compressed image to a new file or a device, and reads it back. Nothing gets its name before all of it is right.
 * Throws Failure `archive-damaged`, `program-missing`, `verification-failed`, and what `openImportTarget` throws.
 */
export async function importArchive(
  request: ImportRequest,
  stdin: Readable,
  dependencies: FilterDependencies,
  context: Context,
): Promise<ImportReport> {
  const startedMs = performance.now();
  const { signal, report } = context;
  let readBytes = 0;
  const onRead = (bytes: number) => {
    readBytes += bytes;
    const totalBytes = input.sizeBytes;
    if (totalBytes === null) return;
    report({ type: 'progress', stage: 'import', doneBytes: readBytes, totalBytes, sentBytes: readBytes });
  };
  await using input: ImportInput =
    request.from === null
      ? openInputStream(stdin, signal, onRead)
      : await openInputFile(request.from, signal, onRead);
  const raw = new ByteReader(input.pieces);
  const compression = compressionOf(await headOf(raw, 'is empty'));
  const plain = new ByteReader(decompressed(compression, raw, dependencies, signal));
  await using held = new Resources();
  held.hold({ [Symbol.asyncDispose]: () => plain.close() });
  const disks = new ImportedDisks(request, dependencies.pool, held, context);
  try {
    const unpacked = await runStage(
      context,
      'import',
      `importing ${input.path}`,
      () => unpack(plain, disks, { request, input, isPlain: compression === 'none' }),
      () => `imported ${input.path}; everything was read back`,
    );
    signal.throwIfAborted();
    await disks.publish();
    const seconds = (performance.now() - startedMs) / 1000;
    return { type: 'imported', from: request.from, compression, ...unpacked, disks: disks.reports, seconds };
  } catch (error) {
    await disks.discard();
    throw error;
  }
}

async function headOf(reader: ByteReader, ifEmpty: string): Promise<Uint8Array> {
  const head = await reader.peek(HEAD_BYTES);
  if (head.length === 0) throw damagedArchive(ifEmpty);
  return head;
}

type Unpacked = Pick<ImportReport, 'content' | 'guest' | 'checked'>;

async function unpack(
  plain: ByteReader,
  disks: ImportedDisks,
  { request, input, isPlain }: { request: ImportRequest; input: ImportInput; isPlain: boolean },
): Promise<Unpacked> {
  const head = await headOf(plain, 'is empty when it is unpacked');
  if (isTar(head)) return unpackMembers(plain, disks, request);
  refuseContainer(head, input.path);
  const name = request.from === null ? UNNAMED : splitCompressedName(basename(request.from)).stem;
  const sizeBytes = isPlain ? input.sizeBytes : null;
  await disks.add({ name, sizeBytes, dataBytes: 0, data: placed(plain.others()) });
  return { content: 'image', guest: null, checked: null };
}

async function* placed(pieces: AsyncIterable<Uint8Array>): PlacedBytes {
  let offset = 0;
  for await (const bytes of pieces) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}

/** The members of an archive. Throws Failure `archive-damaged` unless they are what manifest and checksums say, as far as it has these. */
async function unpackMembers(
  plain: ByteReader,
  disks: ImportedDisks,
  request: ImportRequest,
): Promise<Unpacked> {
  const toOneFile = !(await isDirectory(request.to));
  let manifest: Manifest | null = null;
  let checksums: Map<string, string> | null = null;
  const sums = new Map<string, string>();
  for await (const member of readArchive(plain)) {
    const { name } = member;
    if (checksums !== null) throw damagedArchive(`holds ${name} behind its checksums`);
    if (name === MANIFEST_NAME) {
      if (sums.size > 0) throw damagedArchive(`has its ${MANIFEST_NAME} behind something else`);
      const content = await smallContent(member, LONGEST_MANIFEST_BYTES);
      sums.set(name, createHash('sha256').update(content).digest('hex'));
      manifest = parseManifest(content.toString('utf8'));
      if (toOneFile && manifest.disks.length > 1) throw severalDisks(request.to);
    } else if (name === CHECKSUMS_NAME) {
      checksums = parseChecksums((await smallContent(member, LONGEST_CHECKSUMS_BYTES)).toString('utf8'));
    } else {
      requireStated(member, manifest);
      if (toOneFile && disks.reports.length > 0) throw severalDisks(request.to);
      await disks.add({ ...member, data: member.data() });
      sums.set(name, disks.reports.at(-1)?.sha256 ?? '');
    }
  }
  if (disks.reports.length === 0) throw damagedArchive('holds no disk');
  if (manifest !== null) requireComplete(manifest, checksums, sums);
  if (checksums !== null) requireSums(checksums, sums);
  return {
    content: 'archive',
    guest: manifest?.guest ?? null,
    checked: checksums === null ? null : 'sha256sums',
  };
}

async function smallContent({ name, sizeBytes, data }: ReadMember, mostBytes: number): Promise<Buffer> {
  if (sizeBytes > mostBytes) throw damagedArchive(`has a ${name} of ${sizeBytes} bytes`);
  const content = Buffer.alloc(sizeBytes);
  for await (const { offset, bytes } of data()) content.set(bytes, offset);
  return content;
}

function requireStated({ name, sizeBytes }: ReadMember, manifest: Manifest | null): void {
  if (manifest === null) return;
  const stated = manifest.disks.find((disk) => disk.name === name);
  if (stated === undefined) throw damagedArchive(`holds ${name}, which its manifest does not name`);
  if (stated.sizeBytes !== sizeBytes)
    throw damagedArchive(
      `holds ${name} with ${sizeBytes} bytes, and its manifest states ${stated.sizeBytes}`,
    );
}

function requireComplete(
  { disks }: Manifest,
  checksums: ReadonlyMap<string, string> | null,
  sums: ReadonlyMap<string, string>,
): void {
  const missing = disks.find(({ name }) => !sums.has(name));
  if (missing !== undefined) throw damagedArchive(`lacks ${missing.name}, which its manifest names`);
  if (checksums === null) throw damagedArchive(`has a manifest, but no ${CHECKSUMS_NAME}`);
}

/** Every file of the archive has its checksum, and no other is listed. */
function requireSums(checksums: ReadonlyMap<string, string>, sums: ReadonlyMap<string, string>): void {
  for (const [name, sum] of sums) {
    const stated = checksums.get(name);
    if (stated === undefined) throw damagedArchive(`has no checksum of ${name}`);
    if (stated !== sum) throw damagedArchive(`holds a ${name} that does not match its checksum`);
  }
  const other = [...checksums.keys()].find((name) => !sums.has(name));
  if (other !== undefined)
    throw damagedArchive(`has a checksum of ${JSON.stringify(other)}, but not the file`);
}

function severalDisks(to: string): Failure {
  return new Failure('usage', `The archive holds several disks, and ${to} is not a directory.`, {
    advice: 'Name a directory for all of them: --to DIRECTORY',
  });
}
