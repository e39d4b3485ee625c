import { beforeEach, describe, expect, test } from '@jest/globals';
import { noSeal } from '../../../../src/seal/seal-for.ts';
import type { Event } from '../../../../src/events.ts';
import { Failure } from '../../../../src/failure.ts';
import type { FramePool } from '../../../../src/workers/frame-pool.ts';
import { readCheckRecord } from '../../../../src/operations/store-access/stored-check-records.ts';
import { verifyGuest } from '../../../../src/operations/verify/verify-guest.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { throwAway } from '../../../../src/repository/trash/trash.ts';
import { seededBytes } from '../../../support/images/images.ts';
import { inProcessPool } from '../../../support/in-process-pool.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';
import { storeSnapshot } from '../../../support/stores/stored-snapshots.ts';
import { publishSnapshot } from '../../../support/stores/publish-snapshot.ts';

const CHUNK = 65_536;
const { signal } = new AbortController();
const noPool = new Proxy({} as FramePool, {
  get: () => {
    throw new Error('no pack was to be read');
  },
});

let store: ReturnType<typeof memoryStore>;
let folder: GuestFolder;
let events: Event[];
let now: Date;
let first: string;
let second: string;
/** 12 chunks, of which the sixth is empty. */
let image: Buffer;

beforeEach(async () => {
  store = memoryStore();
  folder = new GuestFolder(store, 'web', noSeal);
  events = [];
  now = new Date('2026-11-24T04:00:00Z');
  image = Buffer.from(seededBytes(1, 12 * CHUNK));
  image.fill(0, 5 * CHUNK, 6 * CHUNK);
  const disks = () => [{ name: 'web.img', image }];
  const small = { chunksPerFrame: 2, framesPerPack: 2 };
  first = (await storeSnapshot(folder, disks(), new Date('2026-11-22T03:00:00Z'), small)).id;
  image.set(seededBytes(2, 2 * CHUNK), 2 * CHUNK);
  second = (await storeSnapshot(folder, disks(), new Date('2026-11-23T03:00:00Z'), small)).id;
});

async function verify(readPercent: number, pool: FramePool = noPool) {
  const context = { signal, report: (event: Event) => void events.push(event) };
  return verifyGuest(folder, { sealKey: null, readPercent }, { pool, now: () => now }, context);
}

function filesIn(kind: string): string[] {
  return [...store.files.keys()].filter((name) => name.startsWith(`guests/web/${kind}/`));
}

function flipBit(name: string, offset: number): void {
  const bytes = Buffer.from(store.files.get(name) ?? []);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  store.files.set(name, bytes);
}

/** The pack with the chunk at this place of the image. */
async function packOf(position: number, snapshot: string): Promise<string> {
  const { disks } = await folder.readSnapshot(snapshot, signal);
  const [disk] = disks;
  if (disk === undefined) throw new Error('no disk');
  const id = (await folder.readChunkMap(disk, signal)).get(position) ?? Buffer.alloc(32);
  const packs = await folder.objects('packs', signal);
  const index = await folder.readIndex(
    packs,
    () => 'first',
    () => undefined,
    signal,
  );
  return index.placesOf(id)[0]?.packId ?? '';
}

async function snapshotChecks() {
  return (await readCheckRecord(folder, signal)).record.snapshots;
}

test('a sound store has no problems', async () => {
  const verdict = await verify(0);
  expect(verdict).toMatchObject({
    guest: 'web',
    snapshots: 2,
    read: { count: 0, bytes: 0 },
    problems: [],
    damaged: [],
    unreferenced: { count: 0, bytes: 0 },
    takenBack: 0,
  });
  expect(verdict.packs.count).toBe(filesIn('packs').length);
  const check = { checkedMs: now.getTime(), state: 'whole', readMs: null, bootedMs: null };
  expect(Object.fromEntries(await snapshotChecks())).toEqual({ [first]: check, [second]: check });
});

test('reading times are recorded, and the oldest one counts for a snapshot', async () => {
  expect((await verify(100, inProcessPool)).read.count).toBe(4);
  const readAt = now.getTime();
  now = new Date('2026-11-25T04:00:00Z');
  expect((await verify(10, inProcessPool)).read.count).toBe(1);
  const checks = await snapshotChecks();
  expect(checks.get(first)).toMatchObject({ checkedMs: now.getTime(), state: 'whole', readMs: readAt });
  expect(filesIn('checked')).toHaveLength(1);
  const progress = events.filter(({ type }) => type === 'progress');
  expect(progress.at(-1)).toMatchObject({ stage: 'check', sentBytes: 0 });
});

test('a new snapshot does not count as verified by what was read before it', async () => {
  await verify(100, inProcessPool);
  image.set(seededBytes(3, CHUNK), 0);
  const third = await storeSnapshot(folder, [{ name: 'web.img', image }], new Date('2026-11-24T03:00:00Z'));
  await verify(0);
  expect((await snapshotChecks()).get(third.id)).toMatchObject({ state: 'whole', readMs: null });
});

test('a snapshot of zeros needs no pack', async () => {
  const zeros = Buffer.alloc(3 * CHUNK);
  const { id } = await storeSnapshot(folder, [{ name: 'empty.img', image: zeros }], new Date(now));
  await verify(0);
  expect((await snapshotChecks()).get(id)).toMatchObject({ state: 'whole', readMs: now.getTime() });
});

describe('a damaged pack', () => {
  let pack: string;
  beforeEach(async () => {
    pack = await packOf(0, first);
    // The damage is in the first frame, which has the first two chunks.
    flipBit(folder.nameOf('packs', pack), 4096);
  });

  test('is found when it is read, and the damaged ranges are reported', async () => {
    expect((await verify(0)).problems).toEqual([]);
    const verdict = await verify(100, inProcessPool);
    expect(verdict.problems).toMatchObject([{ kind: 'pack-damaged', file: folder.nameOf('packs', pack) }]);
    // The other chunk of that frame can still be unpacked.
    const disks = [
      { name: 'web.img', damagedBytes: CHUNK, ranges: [{ offset: 0, length: CHUNK }], moreRanges: 0 },
    ];
    expect(verdict.damaged).toEqual([
      { snapshot: first, disks },
      { snapshot: second, disks },
    ]);
    expect(await folder.marks('damaged', signal)).toEqual(new Set([pack]));
    expect((await snapshotChecks()).get(second)).toMatchObject({ state: 'damaged', readMs: null });
  });

  test('is read again by every verify until it is good', async () => {
    await verify(100, inProcessPool);
    const again = await verify(0, inProcessPool);
    expect(again.read.count).toBe(1);
    expect(again.damaged).toHaveLength(2);
    flipBit(folder.nameOf('packs', pack), 4096);
    expect(await verify(0, inProcessPool)).toMatchObject({ problems: [], damaged: [] });
    expect(await folder.marks('damaged', signal)).toEqual(new Set());
    expect((await snapshotChecks()).get(first)?.readMs).toBe(now.getTime());
  });

  test('is no loss once its chunks were sent again', async () => {
    await verify(100, inProcessPool);
    await storeSnapshot(folder, [{ name: 'web.img', image }], new Date('2026-11-24T03:00:00Z'));
    const mended = await verify(100, inProcessPool);
    expect(mended.damaged).toEqual([]);
    expect(mended.problems).toMatchObject([{ kind: 'pack-damaged' }]);
  });
});

test('a truncated pack is found without reading it', async () => {
  const name = folder.nameOf('packs', await packOf(8, first));
  const whole = store.files.get(name) ?? Buffer.alloc(0);
  store.files.set(name, whole.subarray(0, whole.length / 2));
  const { problems, damaged, read } = await verify(0, inProcessPool);
  expect(problems).toMatchObject([{ kind: 'pack-damaged', file: name }]);
  expect(damaged.map(({ snapshot }) => snapshot)).toEqual([first, second]);
  // Its first half is still there: chunks that a restore can still take from it do not count as lost.
  expect(read.count).toBe(1);
  expect(damaged[0]?.disks[0]?.damagedBytes).toBe(2 * CHUNK);
});

test('a missing pack is reported', async () => {
  const name = folder.nameOf('packs', await packOf(2, second));
  store.files.delete(name);
  const { problems, damaged } = await verify(0);
  expect(problems).toMatchObject([{ kind: 'pack-missing', file: name }]);
  const ranges = [{ offset: 2 * CHUNK, length: 2 * CHUNK }];
  expect(damaged).toEqual([
    { snapshot: second, disks: [{ name: 'web.img', damagedBytes: 2 * CHUNK, ranges, moreRanges: 0 }] },
  ]);
});

test.each([
  ['missing', (name: string) => store.files.delete(name), 'map-missing'],
  ['damaged', (name: string) => flipBit(name, 40), 'map-damaged'],
])('a page that is %s', async (_, spoil, kind) => {
  const [page = ''] = (await folder.readSnapshot(first, signal)).disks[0]?.pages ?? [];
  const name = folder.nameOf('maps', page ?? '');
  spoil(name);
  const { problems, damaged } = await verify(0);
  expect(problems).toMatchObject([{ kind, file: name }]);
  expect(damaged).toMatchObject([{ snapshot: first, disks: [{ damagedBytes: 12 * CHUNK }] }]);
  expect((await folder.marks('damaged', signal)).has(page ?? '')).toBe(kind === 'map-damaged');
});

test('a damaged manifest is reported', async () => {
  const name = folder.nameOf('snapshots', second);
  flipBit(name, 100);
  const { snapshots, problems, damaged } = await verify(0);
  expect(snapshots).toBe(2);
  expect(problems).toMatchObject([{ kind: 'manifest-damaged', file: name }]);
  expect(damaged).toEqual([{ snapshot: second, disks: [] }]);
});

test('a manifest with the pages of another one is reported', async () => {
  const [one, other] = [await folder.readSnapshot(first, signal), await folder.readSnapshot(second, signal)];
  const disks = other.disks.map((disk, index) => ({ ...disk, pages: one.disks[index]?.pages ?? [] }));
  await publishSnapshot(folder, { ...other, disks }, signal);
  const { problems, damaged } = await verify(0);
  expect(problems).toMatchObject([{ kind: 'manifest-damaged' }]);
  expect(damaged).toMatchObject([{ snapshot: second, disks: [{ damagedBytes: 12 * CHUNK }] }]);
});

test('a damaged or lost index loses no data, because packs have their own tables', async () => {
  const [name = ''] = filesIn('index');
  flipBit(name, 40);
  const damaged = await verify(0, inProcessPool);
  expect(damaged).toMatchObject({ read: { count: 1 }, damaged: [] });
  expect(damaged.problems).toMatchObject([{ kind: 'index-damaged', file: name }]);
  expect(damaged.problems[0]?.message).toMatch(/ It was replaced by a correct one\.$/);
  expect(await verify(0)).toMatchObject({ read: { count: 0 }, problems: [] });
  for (const index of filesIn('index')) store.files.delete(index);
  expect(await verify(0, inProcessPool)).toMatchObject({ read: { count: 4 }, damaged: [], problems: [] });
  expect(await verify(0)).toMatchObject({ read: { count: 0 }, damaged: [], problems: [] });
});

test('chunks that are in no pack are reported', async () => {
  for (const index of filesIn('index')) store.files.delete(index);
  const [pack = '', ...others] = filesIn('packs');
  store.files.delete(pack);
  const { read, problems, damaged } = await verify(0, inProcessPool);
  expect(read.count).toBe(others.length);
  expect(problems).toMatchObject([{ kind: 'chunks-not-indexed', file: 'guests/web/index' }]);
  expect(damaged).not.toEqual([]);
});

test('a damaged record of checks loses only earlier findings', async () => {
  await verify(100, inProcessPool);
  const [name = ''] = filesIn('checked');
  flipBit(name, 40);
  expect((await verify(0)).problems).toMatchObject([{ kind: 'check-record-damaged' }]);
  expect((await verify(0)).problems).toEqual([]);
  expect((await snapshotChecks()).get(first)).toMatchObject({ state: 'whole', readMs: null });
});

test('files that no snapshot needs are counted, and are not a problem', async () => {
  await storeSnapshot(folder, [{ name: 'x', image: seededBytes(9, 3 * CHUNK) }], new Date(now));
  store.files.delete(filesIn('snapshots').at(-1) ?? '');
  const { problems, unreferenced } = await verify(0);
  expect(problems).toEqual([]);
  // These are a pack and a page.
  expect(unreferenced.count).toBe(2);
  expect(unreferenced.bytes).toBeGreaterThan(3 * CHUNK);
});

describe('a needed pack that is only in the trash', () => {
  const trashAll = async () => {
    for (const kind of ['packs', 'maps', 'index'] as const)
      for (const id of (await folder.objects(kind, signal)).keys())
        await throwAway(folder, kind, id, '20261124T000000Z', signal);
  };

  test('is moved back', async () => {
    const before = new Map(store.files);
    await trashAll();
    const verdict = await verify(0);
    expect(verdict).toMatchObject({ problems: [], damaged: [] });
    expect(verdict.takenBack).toBeGreaterThan(3);
    for (const name of before.keys()) expect(store.files.has(name)).toBe(true);
  });

  test('is reported if the store cannot be written to', async () => {
    await throwAway(folder, 'packs', await packOf(0, first), '20261124T000000Z', signal);
    const refuse = () => Promise.reject(new Failure('target-not-writable', 'It is read-only.'));
    store.rename = refuse;
    store.put = refuse;
    const { problems } = await verify(0);
    expect(problems).toMatchObject([{ kind: 'only-in-trash' }]);
    expect(problems[0]?.message).toMatch(/The next prune or backup moves it back\.$/);
    expect(events.filter(({ type }) => type === 'warning')).toHaveLength(1);
  });
});

test('files that a prune removes meanwhile do not count as damage', async () => {
  const get = store.get.bind(store);
  const [page] = (await folder.readSnapshot(first, signal)).disks[0]?.pages ?? [];
  // Both manifests are being read when the first snapshot is removed, with the data that only it needs.
  store.get = (name, ...more) => {
    const stream = get(name, ...more);
    if (name !== folder.nameOf('snapshots', second)) return stream;
    return (async function* () {
      yield* stream;
      store.files.delete(folder.nameOf('snapshots', first));
      store.files.delete(folder.nameOf('maps', page ?? ''));
    })();
  };
  expect(await verify(0)).toMatchObject({ snapshots: 1, problems: [], damaged: [] });
});
