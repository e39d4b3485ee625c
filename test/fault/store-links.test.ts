import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { vmferry } from '../support/programs/command-line.ts';
import { scratchDirectory } from '../support/images/images.ts';

const plainStore = join(import.meta.dirname, '..', '..', 'fixtures', 'v1', 'stores', 'plain');
const scratch = scratchDirectory();
const guest = 'disk.img';
const first = '20261122T145114Z-9c6f78f5.json';
let store: string;
let folder: string;
let outside: string;

beforeEach(() => {
  store = join(mkdtempSync(join(scratch.path, 'case-')), 'store');
  cpSync(plainStore, store, { recursive: true });
  folder = join(store, 'guests', guest);
  // forget would refuse a guest with a protected snapshot.
  rmSync(join(folder, 'protected'), { recursive: true });
  outside = mkdtempSync(join(scratch.path, 'outside-'));
});
afterAll(() => {
  scratch[Symbol.dispose]();
});

async function run(
  ...args: string[]
): Promise<{ exitStatus: number | null; stdout: string; stderr: string }> {
  return vmferry(args, { VMFERRY_STATE_DIR: join(store, '..', 'state') });
}

/** Moves a file or folder out of the store, and puts a link to it in its place. */
function moveOut(path: string): string {
  const target = join(outside, basename(path));
  renameSync(path, target);
  symlinkSync(target, path);
  return target;
}

function everythingIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String).toSorted();
}

describe('a store with symbolic links in it', () => {
  test('forget deletes nothing that a link points to, leaves the link, and reports it', async () => {
    writeFileSync(join(outside, 'precious'), '');
    symlinkSync(outside, join(folder, 'link'));
    symlinkSync(join(outside, 'precious'), join(folder, 'packs', 'linked.tar'));
    const { exitStatus, stderr } = await run('forget', store, guest, '--yes-forget', guest);
    expect(exitStatus).toBe(20);
    expect(stderr).toContain('vmferry neither follows nor deletes it');
    expect(everythingIn(outside)).toEqual(['precious']);
    expect(readdirSync(folder).toSorted()).toEqual(['link', 'packs']);
    expect(readdirSync(join(folder, 'packs'))).toEqual(['linked.tar']);
    rmSync(join(folder, 'link'));
    rmSync(join(folder, 'packs', 'linked.tar'));
    expect((await run('forget', store, guest, '--yes-forget', guest)).exitStatus).toBe(0);
    expect(everythingIn(join(store, 'guests'))).toEqual([]);
  });

  test.each(['packs', 'snapshots', '.'])('every command refuses a store where %s is a link', async (name) => {
    const target = moveOut(join(folder, name));
    const before = everythingIn(target);
    for (const args of [
      ['verify', store],
      ['prune', store, '--keep-last', '1', '--grace', '0'],
      ['forget', store, guest, '--yes-forget', guest],
    ]) {
      const { exitStatus, stderr } = await run(...args);
      expect(stderr).toMatch(/symbolic link.* vmferry (leaves it alone|neither follows nor deletes it)/);
      expect(exitStatus).toBe(20);
      expect(everythingIn(target)).toEqual(before);
      if (args[0] !== 'forget') expect(everythingIn(join(store, 'guests'))).toContain(guest);
    }
  });

  test('a manifest that is a link counts as damaged, and its data is not pruned', async () => {
    moveOut(join(folder, 'snapshots', first));
    const before = everythingIn(join(folder, 'packs'));
    expect((await run('list', store)).stdout).toContain('is a symbolic link');
    const { exitStatus, stderr } = await run('prune', store, '--keep-last', '1', '--grace', '0');
    expect(exitStatus).toBe(20);
    expect(stderr).toContain('is a symbolic link');
    expect(everythingIn(join(folder, 'packs'))).toEqual(before);
  });
});

describe('a store with FIFOs in it', () => {
  function putFifo(path: string): void {
    rmSync(path);
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
  }
  /** The commands' exit statuses. A command that waited for the FIFO would never end. */
  async function statuses(): Promise<(number | null)[]> {
    mkdirSync(join(outside, 'restored'));
    const restore = ['restore', store, guest, '--to', join(outside, 'restored')];
    const found: (number | null)[] = [];
    for (const args of [['list', store], ['verify', store, '--read-data'], restore])
      found.push((await run(...args)).exitStatus);
    return found;
  }

  test('no command waits for a writer when the marker is a FIFO', async () => {
    putFifo(join(store, 'vmferry-store.json'));
    expect(await statuses()).toEqual([20, 20, 20]);
  });

  test('a manifest that is a FIFO counts as damaged, and the other snapshot can be restored', async () => {
    putFifo(join(folder, 'snapshots', first));
    expect((await run('list', store)).stdout).toContain('is a FIFO');
    expect(await statuses()).toEqual([0, 20, 0]);
  });

  test('packs that are FIFOs count as missing', async () => {
    for (const pack of readdirSync(join(folder, 'packs'))) putFifo(join(folder, 'packs', pack));
    expect(await statuses()).toEqual([0, 20, 20]);
  });
});
