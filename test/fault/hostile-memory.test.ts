import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { noSeal } from '../../src/seal/seal-for.ts';
import { GuestFolder } from '../../src/repository/guest-folder.ts';
import type { DamagedSnapshot } from '../../src/operations/verify/verify-report.ts';
import { markerText } from '../../src/repository/keys/store-marker.ts';
import { openDirectoryStore } from '../../src/store/directory/directory-store.ts';
import { peakModule, vmferry } from '../support/programs/command-line.ts';
import { storeManyDisks, storeSwellingIndexes } from '../support/stores/hostile-store.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { storeSnapshot } from '../support/stores/stored-snapshots.ts';

const MIB = 2 ** 20;
const MOST_BYTES = 400 * MIB;
const FILES = 8;
const DISKS = 256;
const { signal } = new AbortController();

let scratch: ReturnType<typeof scratchDirectory>;
const image = Buffer.alloc(256 * 1024, 'what the guest has written');

beforeAll(() => {
  scratch = scratchDirectory();
});
afterAll(() => {
  scratch[Symbol.dispose]();
});

async function newStore(name: string) {
  const path = join(scratch.path, name);
  mkdirSync(path);
  writeFileSync(join(path, 'vmferry-store.json'), markerText({ id: 'ab'.repeat(16), encryption: null }));
  const folder = new GuestFolder(openDirectoryStore(path), 'web', noSeal);
  const snapshot = await storeSnapshot(
    folder,
    [{ name: 'disk.img', image }],
    new Date('2026-11-22T03:00:00Z'),
  );
  return { path, folder, snapshot };
}

/** Runs vmferry, and measures its peak memory. */
async function run(...args: string[]) {
  const peakFile = join(scratch.path, 'peak');
  const ended = await vmferry(args, {
    NODE_OPTIONS: `--import=${peakModule}`,
    VMFERRY_TEST_PEAK_FILE: peakFile,
    VMFERRY_STATE_DIR: join(scratch.path, 'state'),
  });
  return { ...ended, peakBytes: Number(readFileSync(peakFile, 'utf8')) };
}

describe('small index files that unpack to a lot', () => {
  let store: Awaited<ReturnType<typeof newStore>>;

  beforeAll(async () => {
    store = await newStore('indexes');
    const [pack] = (await store.folder.objects('packs', signal)).values();
    if (pack === undefined) throw new Error('no pack was stored');
    storeSwellingIndexes(store.path, store.folder, pack, { files: FILES, textBytes: 60 * MIB });
  }, 120_000);

  test('do not fill the memory of list', async () => {
    const { exitStatus, peakBytes } = await run('list', store.path);
    expect(exitStatus).toBe(0);
    expect(peakBytes).toBeLessThan(MOST_BYTES);
  }, 120_000);

  test('do not fill the memory of verify, which reports them', async () => {
    const { stdout, stderr, peakBytes } = await run('verify', store.path);
    expect(stdout.match(/index\/\S+ is damaged: its text is too long/g)).toHaveLength(FILES);
    expect(stderr).toContain('All snapshots can still be restored.');
    expect(peakBytes).toBeLessThan(MOST_BYTES);
  }, 120_000);

  test('do not fill the memory of restore, which restores without them', async () => {
    const to = join(scratch.path, 'restored.img');
    const { exitStatus, peakBytes } = await run('restore', store.path, 'web', '--to', to);
    expect(exitStatus).toBe(0);
    expect(readFileSync(to).equals(image)).toBe(true);
    expect(peakBytes).toBeLessThan(MOST_BYTES);
  }, 120_000);
});

describe('a small snapshot of many large disks that share their maps', () => {
  let store: Awaited<ReturnType<typeof newStore>>;

  beforeAll(async () => {
    store = await newStore('disks');
    await storeManyDisks(store.folder, store.snapshot, DISKS);
  }, 120_000);

  test('does not fill the memory of verify, which reports the damage of all disks', async () => {
    const { stdout, peakBytes } = await run('verify', store.path, '--json');
    const report = stdout.split('\n').find((line) => line.includes('"type":"verified"')) ?? '';
    const [{ damaged }] = (JSON.parse(report) as { guests: [{ damaged: DamagedSnapshot[] }] }).guests;
    expect(damaged).toHaveLength(1);
    expect(damaged[0]?.disks).toHaveLength(DISKS);
    for (const { damagedBytes, ranges, moreRanges } of damaged[0]?.disks ?? []) {
      expect(damagedBytes).toBe(2 ** 35);
      expect(ranges).toHaveLength(1000);
      expect(moreRanges).toBe(2 ** 19 - 1000);
    }
    expect(peakBytes).toBeLessThan(MOST_BYTES);
  }, 120_000);

  test('does not fill the memory of restore, which asks for one disk at a time', async () => {
    const to = join(scratch.path, 'restored');
    mkdirSync(to);
    const { exitStatus, stderr, peakBytes } = await run('restore', store.path, 'web', '--to', to);
    expect(stderr).toContain('To restore these 256 disks at once would take 8.00 GiB of memory');
    expect(stderr).toContain('--disk NAME');
    expect(exitStatus).toBe(10);
    expect(readdirSync(to)).toEqual([]);
    expect(peakBytes).toBeLessThan(MOST_BYTES);
  }, 120_000);

  test('does not fill the memory of diff, which refuses that many differences', async () => {
    const { stderr, exitStatus, peakBytes } = await run(
      'diff',
      store.path,
      `web@${store.snapshot.id}`,
      'web@latest',
    );
    expect(stderr).toContain('differ in more than 1048576 ranges');
    expect(exitStatus).toBe(10);
    expect(peakBytes).toBeLessThan(MOST_BYTES);
  }, 120_000);
});
