import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import type { Extent } from '../../../src/extent/extents.ts';
import type { GuestFolder } from '../../../src/repository/guest-folder.ts';
import type { FramePlace } from '../../../src/repository/chunk-index/chunk-index.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { seededBytes } from '../../support/images/images.ts';
import { flipByte, restoreResult, restoreWhole, storedFiles } from '../../support/stores/restoring.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';
import { storeSnapshot } from '../../support/stores/stored-snapshots.ts';

const MIB = 2 ** 20;
const CHUNK = 64 * 1024;
const { signal } = new AbortController();

let world: BackupWorld;
let folder: GuestFolder;
let target: string;
/** Noise with one hole. */
let bytes: Buffer;

beforeEach(async () => {
  world = new BackupWorld();
  target = join(world.path, 'back', 'restored.img');
  mkdirSync(dirname(target));
  bytes = Buffer.from(seededBytes(1, 12 * MIB + 512));
  bytes.fill(0, 2 * MIB, 3 * MIB);
  folder = (await world.session()).folder('web');
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

async function store(chunksPerFrame = 16): Promise<void> {
  const options = { chunksPerFrame, framesPerPack: 3 };
  await storeSnapshot(folder, [{ name: 'web.img', image: bytes }], new Date('2026-11-22T03:00:00Z'), options);
}

/** Where in the store the chunk at this byte of the image lies. */
async function placeOf(offset: number): Promise<FramePlace> {
  const packs = await folder.objects('packs', signal);
  const index = await folder.readIndex(
    packs,
    () => 'first',
    () => undefined,
    signal,
  );
  const [place] = index.placesOf(chunkId(bytes.subarray(offset, offset + CHUNK)));
  if (place === undefined) throw new Error('not stored');
  return place;
}

async function damageFrameOf(offset: number): Promise<Extent> {
  const { packId, offsetBytes, chunks } = await placeOf(offset);
  // The first bytes of a zstd frame.
  flipByte(join(world.storePath, folder.nameOf('packs', packId)), offsetBytes);
  return { offset, length: chunks.lengths.reduce((sum, length) => sum + length, 0) };
}

/** The image, with zeros where something is missing. */
function without(...ranges: readonly Extent[]): Buffer {
  const expected = Buffer.from(bytes);
  for (const { offset, length } of ranges) expected.fill(0, offset, offset + length);
  return expected;
}

describe('a damaged frame', () => {
  test('fails the restore, which reports exactly what is missing and makes no image', async () => {
    await store();
    const { offset, length } = await damageFrameOf(4 * MIB);
    const failure = await failureOf(() => restoreWhole(world, 'web', target));
    expect(failure.code).toBe('store-damaged');
    expect(failure.exitStatus).toBe(20);
    expect(failure.message).toContain(
      `${length} of ${bytes.length} bytes of web.img: ${offset}-${offset + length - 1}.`,
    );
    expect(failure.advice).toContain('--allow-missing');
    expect(existsSync(target)).toBe(false);
  });

  test('with a single wrong chunk gives the other chunks', async () => {
    await store();
    const { packId, offsetBytes, sizeBytes } = await placeOf(4 * MIB);
    // Noise is stored uncompressed: the middle of the frame is the middle of its chunks.
    flipByte(join(world.storePath, folder.nameOf('packs', packId)), offsetBytes + Math.floor(sizeBytes / 2));
    const { report } = await restoreResult(world, 'web', target, { allowMissing: true });
    expect(report.disks[0]?.missing).toMatchObject([{ length: CHUNK }]);
  });

  test('is left out with --allow-missing, and listed', async () => {
    await store();
    const damaged = await damageFrameOf(4 * MIB);
    await failureOf(() => restoreWhole(world, 'web', target));
    // Continues with what the first restore has left.
    const { report, failure } = await restoreResult(world, 'web', target, { allowMissing: true });
    expect(failure).toMatchObject({ code: 'store-damaged', exitStatus: 20 });
    expect(failure?.message).toContain('NOT complete');
    expect(report.disks[0]?.missing).toEqual([damaged]);
    expect(report.disks[0]?.unchangedBytes).toBe(11 * MIB + 512 - damaged.length);
    expect(readFileSync(target).equals(without(damaged))).toBe(true);
    const list = readFileSync(`${target}.missing`, 'utf8').split('\n');
    expect(list.filter((line) => !line.startsWith('#'))).toEqual([`${damaged.offset} ${damaged.length}`, '']);
    expect(readdirSync(dirname(target)).toSorted()).toEqual(['restored.img', 'restored.img.missing']);
  });

  test('does no harm if another pack has its chunks', async () => {
    await store();
    const { packId } = await placeOf(4 * MIB);
    const { offset } = await damageFrameOf(4 * MIB);
    // The next backup sends the chunks of a pack that was found damaged again.
    await folder.mark('damaged', packId, signal);
    await storeSnapshot(folder, [{ name: 'web.img', image: bytes }], new Date('2026-11-23T03:00:00Z'));
    await folder.unmark('damaged', packId, signal);
    await restoreWhole(world, 'web@2026-11-22T03:00Z', target);
    expect(readFileSync(target).equals(bytes)).toBe(true);
    expect(offset).toBe(4 * MIB);
  });

  test('is no loss if the target has its data', async () => {
    await store();
    await damageFrameOf(4 * MIB);
    const old = Buffer.from(bytes);
    old.fill(1, 7 * MIB, 8 * MIB);
    writeFileSync(target, old);
    await restoreWhole(world, 'web', target, { inPlace: true });
    expect(readFileSync(target).equals(bytes)).toBe(true);
  });

  test('reads as zero in a file that is overwritten', async () => {
    await store();
    const damaged = await damageFrameOf(4 * MIB);
    writeFileSync(target, seededBytes(50, 13 * MIB));
    const { failure } = await restoreResult(world, 'web', target, { inPlace: true, allowMissing: true });
    expect(failure?.code).toBe('store-damaged');
    expect(readFileSync(target).equals(without(damaged))).toBe(true);
  });
});

describe('damage that is found before the restore writes', () => {
  test('a lost pack: nothing is written, and no file is made', async () => {
    await store();
    const { packId } = await placeOf(4 * MIB);
    rmSync(join(world.storePath, folder.nameOf('packs', packId)));
    const failure = await failureOf(() => restoreWhole(world, 'web', target));
    expect([failure.code, failure.message]).toEqual([
      'store-damaged',
      expect.stringContaining('bytes of web.img'),
    ]);
    expect(readdirSync(dirname(target))).toEqual([]);

    const { report } = await restoreResult(world, 'web', target, { allowMissing: true });
    expect(report.disks[0]?.missing).not.toEqual([]);
    expect(readFileSync(target).equals(without(...(report.disks[0]?.missing ?? [])))).toBe(true);
  });

  test('a lost pack does not touch a file that would be overwritten', async () => {
    await store();
    rmSync(storedFiles(world, 'web', 'packs')[0] ?? '');
    writeFileSync(target, 'precious');
    await failureOf(() => restoreWhole(world, 'web', target, { inPlace: true }));
    expect(readFileSync(target, 'utf8')).toBe('precious');
    expect(readdirSync(dirname(target))).toEqual(['restored.img']);
  });

  test.each(['lost', 'damaged'])('a page that is %s: all that it may have named is missing', async (how) => {
    // Two pages: the second begins at 256 MiB.
    const boundary = 4096 * CHUNK;
    bytes = Buffer.alloc(boundary + 2 * MIB);
    bytes.set(seededBytes(1, MIB), 0);
    bytes.set(seededBytes(2, MIB), boundary);
    await store();
    const snapshot = await folder.readSnapshot((await folder.snapshotIds(signal))[0] ?? '', signal);
    const page = join(world.storePath, folder.nameOf('maps', snapshot.disks[0]?.pages[1] ?? ''));
    if (how === 'lost') rmSync(page);
    else flipByte(page, Math.floor(statSync(page).size / 2));
    const failure = await failureOf(() => restoreWhole(world, 'web', target));
    expect(failure.message).toContain(`web.img: ${boundary}-${bytes.length - 1}.`);
    const { report } = await restoreResult(world, 'web', target, { allowMissing: true });
    const lost = { offset: boundary, length: 2 * MIB };
    expect(report.disks[0]?.missing).toEqual([lost]);
    expect(readFileSync(target).equals(without(lost))).toBe(true);
  });
});

test('any bit flip of a pack yields the image, or a failure that names what is wrong', async () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  await store(4);
  const packs = storedFiles(world, 'web', 'packs');
  for (let round = 0; round < 20; round++) {
    const pack = packs[Math.floor(random() * packs.length)] ?? '';
    const before = readFileSync(pack);
    const isCut = random() < 0.2;
    const at = Math.floor(random() * before.length);
    if (isCut) truncateSync(pack, at);
    else flipByte(pack, at);
    const path = `${target}.${round}`;
    const what = `seed ${seed}, ${basename(pack)}, byte ${at}${isCut ? ', cut' : ''}`;
    const { report, failure } = await restoreResult(world, 'web', path, { allowMissing: true });
    const missing = report.disks[0]?.missing ?? [];
    expect([what, readFileSync(path).equals(without(...missing))]).toEqual([what, true]);
    expect([what, failure === null]).toEqual([what, missing.length === 0]);
    writeFileSync(pack, before);
    rmSync(path);
  }
});
