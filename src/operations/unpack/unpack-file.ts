import { readArchive } from '../../archive/read-archive.ts';
import { ByteReader } from '../../codec/byte-reader.ts';
import { compressionOf, HEAD_BYTES, isTar, splitCompressedName } from '../../codec/compression-format.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { Context } from '../../events.ts';
import { Resources } from '../../pipeline/resources.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { PlacedBytes } from '../../transfer/disk-import.ts';
import { decompressed, type FilterDependencies } from './filters.ts';
import type { UnpackInput } from './input.ts';
import { refuseContainer } from './refuse-container.ts';
import { unpackMembers } from './unpack-members.ts';
import { isOvf, unpackOva } from './unpack-ova.ts';
import type { BeforeDisk, Unpacked, UnpackedMembers, UnpackTarget } from './unpacked.ts';
import { UnpackedDisks } from './unpacked-disks.ts';

/** The name of an image from standard input. */
export const UNNAMED = 'disk.img';

/**
 * Unpacks an archive or a compressed image to new files or a device, and reads them back. Nothing gets its name before all of it is right.
 * Throws Failure `archive-damaged`, `program-missing`, `verification-failed`, and what `open`, `openDiskTarget` and `beforeDisk` throw.
 * @param open opens the file, and has each number of bytes that is read from it counted
 */
export async function unpackFile(
  target: UnpackTarget,
  open: (onRead: (bytes: number) => void) => Promise<UnpackInput>,
  beforeDisk: BeforeDisk,
  dependencies: FilterDependencies,
  context: Context,
): Promise<Unpacked> {
  const { signal, report } = context;
  let readBytes = 0;
  const onRead = (bytes: number) => {
    readBytes += bytes;
    const totalBytes = input.sizeBytes;
    if (totalBytes === null) return;
    report({ type: 'progress', stage: 'import', doneBytes: readBytes, totalBytes, sentBytes: readBytes });
  };
  await using input: UnpackInput = await open(onRead);
  const raw = new ByteReader(input.pieces);
  const compression = compressionOf(await headOf(raw, 'is empty'));
  const plain = new ByteReader(decompressed(compression, raw, dependencies, signal));
  await using held = new Resources();
  held.hold({ [Symbol.asyncDispose]: () => plain.close() });
  const disks = new UnpackedDisks(target, dependencies.pool, held, context);
  const { path } = input;
  try {
    const unpacked = await runStage(
      context,
      'import',
      `unpacking ${path}`,
      () =>
        unpack(plain, disks, context, { to: target.to, input, beforeDisk, isPlain: compression === 'none' }),
      () => `unpacked ${path}; everything was read back`,
    );
    signal.throwIfAborted();
    await disks.publish();
    return { path, compression, ...unpacked, disks: disks.reports };
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

interface Unpacking {
  to: string;
  input: UnpackInput;
  beforeDisk: BeforeDisk;
  isPlain: boolean;
}

async function unpack(
  plain: ByteReader,
  disks: UnpackedDisks,
  context: Context,
  { to, input, beforeDisk, isPlain }: Unpacking,
): Promise<UnpackedMembers & Pick<Unpacked, 'content'>> {
  const head = await headOf(plain, 'is empty when it is unpacked');
  if (isTar(head)) {
    const members = readArchive(plain);
    const first = await members.next();
    const all = rejoined(first, members);
    const isOva = first.done !== true && isOvf(first.value.name);
    const unpacking = isOva
      ? unpackOva(all, disks, beforeDisk, to, context)
      : unpackMembers(all, disks, beforeDisk, to);
    return { content: isOva ? 'ova' : 'archive', ...(await unpacking) };
  }
  refuseContainer(head, input.path);
  const name = input.name === null ? UNNAMED : splitCompressedName(input.name).stem;
  await beforeDisk(null, name);
  const sizeBytes = isPlain ? input.sizeBytes : null;
  await disks.add({ name, sizeBytes, dataBytes: 0, data: placed(plain.others()), hashes: true });
  return { content: 'image', manifest: null, checked: null };
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
