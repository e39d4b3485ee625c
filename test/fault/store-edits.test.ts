import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../src/failure.ts';
import { verifyStore, type VerifyResult } from '../../src/operations/verify/verify-store.ts';
import { BackupWorld } from '../support/stores/backup-world.ts';
import { editIndex, shiftNumber } from '../support/stores/edited-index.ts';
import { seededBytes } from '../support/images/images.ts';
import { inProcessPool } from '../support/in-process-pool.ts';
import { memoryStoreOf, type MemoryStore } from '../support/stores/memory-store.ts';
import { restoreWhole } from '../support/stores/restoring.ts';
import { testSeed } from '../support/seeded-random.ts';
import { storeSnapshot } from '../support/stores/stored-snapshots.ts';

const CHUNK = 64 * 1024;

let world: BackupWorld;
const images = new Map<string, Buffer>();

beforeAll(async () => {
  world = new BackupWorld();
  const image = Buffer.from(seededBytes(1, 20 * CHUNK + 512));
  image.fill(0, 3 * CHUNK, 5 * CHUNK);
  const folder = (await world.session()).folder('web');
  for (const day of [22, 23]) {
    const at = new Date(`2026-11-${day}T03:00:00Z`);
    image.set(seededBytes(day, 2 * CHUNK), (day - 20) * CHUNK);
    const small = { chunksPerFrame: 3, framesPerPack: 2 };
    const { id } = await storeSnapshot(folder, [{ name: 'web.img', image }], at, small);
    images.set(id, Buffer.from(image));
  }
}, 60_000);
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** One change to the files of a guest; the numbers say where, and are taken modulo what there is. */
type Edit = (store: MemoryStore) => void;

const number = fc.nat(1_000_000);
const kind = fc.constantFrom('packs', 'index', 'maps', 'snapshots');

function fileOf(store: MemoryStore, folder: string, which: number): string {
  const files = [...store.files.keys()].filter((name) => name.startsWith(`guests/web/${folder}/`)).toSorted();
  return files[which % files.length] ?? '';
}

const flip = fc.tuple(kind, number, number).map(([folder, which, bit]): Edit => (store) => {
  const name = fileOf(store, folder, which);
  const bytes = Buffer.from(store.files.get(name) ?? []);
  if (bytes.length === 0) return;
  const at = (bit * 997) % bytes.length;
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8));
  store.files.set(name, bytes);
});
const truncate = fc.tuple(kind, number, number).map(([folder, which, to]): Edit => (store) => {
  const name = fileOf(store, folder, which);
  const bytes = store.files.get(name);
  if (bytes !== undefined) store.files.set(name, bytes.subarray(0, to % (bytes.length + 1)));
});
const remove = fc.tuple(kind, number).map(([folder, which]): Edit => (store) => {
  store.files.delete(fileOf(store, folder, which));
});
const swap = fc.tuple(kind, number, number).map(([folder, one, other]): Edit => (store) => {
  const [first, second] = [fileOf(store, folder, one), fileOf(store, folder, other)];
  const [left, right] = [store.files.get(first), store.files.get(second)];
  if (left === undefined || right === undefined) return;
  store.files.set(first, right);
  store.files.set(second, left);
});

/** Changes the text of an index, and renames the file to the digest of the new text. */
const indexEdits = fc.oneof(
  fc
    .tuple(fc.constantFrom(1 as const, 2 as const), fc.constantFrom(1, 512, 1024, 65_536, 2 ** 30))
    .map(([at, by]) => shiftNumber('frame', at, by)),
  fc.constantFrom(1, 512, 65_536).map((by) => shiftNumber('chunk', 2, by)),
  // One line replaces another: chunks, frames and packs from other places, or nothing.
  fc.tuple(number, number).map(([from, to]) => (lines: string[]) => {
    const rows = lines.length - 2;
    lines[1 + (to % rows)] = lines[1 + (from % rows)] ?? '';
  }),
  number.map((which) => (lines: string[]) => void lines.splice(1 + (which % (lines.length - 2)), 1)),
);
const misindex = fc.tuple(number, indexEdits).map(([which, edit]): Edit => (store) => {
  const file = fileOf(store, 'index', which);
  if (file === '') return;
  try {
    editIndex(store, file, edit);
  } catch (error) {
    // An earlier edit has made this file unreadable.
    if (!(error instanceof Failure)) throw error;
  }
});
/** Three in four edits are of the kind that no digest detects. */
const edits = fc.array(fc.oneof(flip, truncate, remove, swap, { weight: 12, arbitrary: misindex }), {
  minLength: 1,
  maxLength: 3,
});

async function verify(store: MemoryStore, readPercent: number): Promise<VerifyResult> {
  return verifyStore(
    { guest: null, readPercent, boot: null },
    await world.session(store),
    { pool: inProcessPool, now: () => new Date('2026-11-25T04:00:00Z') },
    () => undefined,
    world.context(),
  );
}

async function restored(store: MemoryStore, snapshot: string): Promise<Buffer> {
  const target = join(world.path, 'restored.img');
  await restoreWhole(world, `web@${snapshot}`, target, { store });
  const bytes = readFileSync(target);
  rmSync(target);
  return bytes;
}

test('every snapshot that a full verify reports as whole can be restored exactly', async () => {
  const seed = testSeed();
  await fc.assert(
    fc.asyncProperty(edits, async (some) => {
      const store = memoryStoreOf(world.storePath);
      for (const edit of some) edit(store);
      const { report } = await verify(store, 100);
      const verdict = report.guests[0];
      const lost = new Set(verdict?.damaged.map(({ snapshot }) => snapshot));
      for (const [snapshot, image] of images) {
        const isThere = store.files.has(`guests/web/snapshots/${snapshot}.json`);
        if (isThere && !lost.has(snapshot))
          expect((await restored(store, snapshot)).equals(image)).toBe(true);
      }
    }),
    { seed, numRuns: 60 },
  );
}, 180_000);

const wrongIndexes: [what: string, edit: (lines: string[]) => void][] = [
  ['offsets shifted by a block', shiftNumber('frame', 1, 512)],
  ['sizes that are too large', shiftNumber('frame', 2, 1)],
  ['lengths of other chunks', shiftNumber('chunk', 2, 512)],
  [
    'a chunk left out',
    (lines) => {
      const isChunk = (line: string | undefined) => line?.startsWith('chunk ') === true;
      lines.splice(
        lines.findIndex((line, row) => isChunk(line) && isChunk(lines[row - 1])),
        1,
      );
    },
  ],
];

test.each(wrongIndexes)(
  'an index with %s: restore still works; verify reports and repairs the index',
  async (_, edit) => {
    const store = memoryStoreOf(world.storePath);
    const packs = [...store.files.keys()].filter((name) => name.includes('/index/'));
    for (const file of packs) editIndex(store, file, edit);
    const [[snapshot, image] = ['', Buffer.alloc(0)]] = images;
    const before = new Map(store.files);
    expect((await restored(store, snapshot)).equals(image)).toBe(true);
    // Restoring does not change the store.
    expect(store.files).toEqual(before);

    const { report, failure } = await verify(store, 100);
    expect(failure).toMatchObject({ code: 'store-damaged' });
    expect(report.guests[0]?.damaged).toEqual([]);
    const problems = report.guests[0]?.problems ?? [];
    expect(new Set(problems.map(({ kind: of }) => of))).toEqual(new Set(['index-damaged']));
    expect(problems[0]?.message).toContain('It was replaced by a correct one.');
    expect((await verify(store, 100)).failure).toBeNull();
    expect((await restored(store, snapshot)).equals(image)).toBe(true);
  },
  60_000,
);

test('an implausible index is found and corrected without reading all data', async () => {
  const store = memoryStoreOf(world.storePath);
  const file = fileOf(store, 'index', 0);
  editIndex(store, file, shiftNumber('frame', 1, 512));
  const { report } = await verify(store, 0);
  expect(report.guests[0]).toMatchObject({ read: { count: 1 }, damaged: [] });
  expect(report.guests[0]?.problems).toMatchObject([{ kind: 'index-damaged' }]);
  expect((await verify(store, 0)).failure).toBeNull();
});
