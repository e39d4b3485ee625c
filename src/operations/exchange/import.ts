import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import { readArchive } from '../../archive/read-archive.ts';
import { ByteReader } from '../../codec/byte-reader.ts';
import { compressionOf, HEAD_BYTES, isTar, splitCompressedName } from '../../codec/compression-format.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { Context } from '../../events.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { PlacedBytes } from '../../transfer/disk-import.ts';
import { decompressed, type FilterDependencies } from './filters.ts';
import { ImportedDisks } from './import-disks.ts';
import type { ImportReport, ImportRequest } from './import-report.ts';
import { ImportedGuest, type StartDependencies } from './imported-guest.ts';
import { openInput, type ImportInput } from './input.ts';
import type { FileDependencies } from './output.ts';
import { refuseContainer } from './refuse-container.ts';
import { isOvf, unpackOva } from './unpack-ova.ts';
import { unpackMembers } from './unpack-members.ts';

export type ImportDependencies = FilterDependencies & StartDependencies & FileDependencies;

/** The name of an image from standard input. */
const UNNAMED = 'disk.img';

/**
 * Unpacks an archive or a compressed image to a new file or a device, and reads it back. Nothing gets its name before all of it is right.
 * Starts the guest then, on request. Throws Failure `archive-damaged`, `program-missing`, `verification-failed`, and what `openImportTarget`
 * and `ImportedGuest` throw.
 */
export async function importArchive(
  request: ImportRequest,
  stdin: Readable,
  dependencies: ImportDependencies,
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
  await using input: ImportInput = await openInput(request.from, stdin, dependencies, onRead, context);
  const raw = new ByteReader(input.pieces);
  const compression = compressionOf(await headOf(raw, 'is empty'));
  const plain = new ByteReader(decompressed(compression, raw, dependencies, signal));
  await using held = new Resources();
  held.hold({ [Symbol.asyncDispose]: () => plain.close() });
  const disks = new ImportedDisks(request, dependencies.pool, held, context);
  const guest =
    request.start === null ? null : new ImportedGuest(request.start, request.to, dependencies, context);
  let unpacked: Unpacked;
  try {
    unpacked = await runStage(
      context,
      'import',
      `importing ${input.path}`,
      () => unpack(plain, disks, context, { request, input, guest, isPlain: compression === 'none' }),
      () => `imported ${input.path}; everything was read back`,
    );
    signal.throwIfAborted();
    await disks.publish();
  } catch (error) {
    await disks.discard();
    throw error;
  }
  // Frees the images for the guest.
  await held[Symbol.asyncDispose]();
  const started = guest === null ? null : await guest.start();
  const seconds = (performance.now() - startedMs) / 1000;
  const { reports } = disks;
  return {
    type: 'imported',
    from: request.from === null ? null : input.path,
    compression,
    ...unpacked,
    disks: reports,
    started,
    seconds,
  };
}

async function headOf(reader: ByteReader, ifEmpty: string): Promise<Uint8Array> {
  const head = await reader.peek(HEAD_BYTES);
  if (head.length === 0) throw damagedArchive(ifEmpty);
  return head;
}

interface Unpacking {
  request: ImportRequest;
  input: ImportInput;
  guest: ImportedGuest | null;
  isPlain: boolean;
}

type Unpacked = Pick<ImportReport, 'content' | 'guest' | 'checked'>;

async function unpack(
  plain: ByteReader,
  disks: ImportedDisks,
  context: Context,
  { request, input, guest, isPlain }: Unpacking,
): Promise<Unpacked> {
  const head = await headOf(plain, 'is empty when it is unpacked');
  if (isTar(head)) {
    const members = readArchive(plain);
    const first = await members.next();
    const all = rejoined(first, members);
    const isOva = first.done !== true && isOvf(first.value.name);
    const unpacking = isOva
      ? unpackOva(all, disks, guest, request.to, context)
      : unpackMembers(all, disks, guest, request.to);
    return { content: isOva ? 'ova' : 'archive', ...(await unpacking) };
  }
  refuseContainer(head, input.path);
  const name = request.from === null ? UNNAMED : splitCompressedName(basename(request.from.path)).stem;
  await guest?.requireStartable(null, name);
  const sizeBytes = isPlain ? input.sizeBytes : null;
  await disks.add({ name, sizeBytes, dataBytes: 0, data: placed(plain.others()), hashes: true });
  return { content: 'image', guest: null, checked: null };
}

async function* rejoined<Item>(
  first: IteratorResult<Item, void>,
  others: AsyncGenerator<Item, void, undefined>,
): AsyncGenerator<Item, void, undefined> {
  if (first.done === true) return;
  yield first.value;
  yield* others;
}

async function* placed(pieces: AsyncIterable<Uint8Array>): PlacedBytes {
  let offset = 0;
  for await (const bytes of pieces) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}
