import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { setMaxListeners } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, symlink, writeFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BackupStore, StoreEntry } from '../../src/store/store.ts';
import { run } from '../../src/system/processes.ts';
import { seededBytes } from '../support/images/images.ts';
import { describeStore, type StoreUnderTest } from './store-contract.ts';

export interface BackupStoreUnderTest extends StoreUnderTest {
  open(directory: string): BackupStore | Promise<BackupStore>;
}

const signal = new AbortController().signal;
const MIB = 1 << 20;
// many concurrent operations listen to it
setMaxListeners(0, signal);

/** What every BackupStore must do, in addition to what every Store must do. */
export function describeBackupStore(name: string, start: () => Promise<BackupStoreUnderTest>): void {
  describeStore(name, start);

  describe(`a store of backups: ${name}`, () => {
    let subject: BackupStoreUnderTest;
    let directory: string;
    let store: BackupStore;
    beforeAll(async () => {
      subject = await start();
    });
    afterAll(async () => {
      await subject.stop();
    });
    beforeEach(async () => {
      directory = await mkdtemp(join(subject.scratch, 'store-'));
      store = await subject.open(directory);
    });
    const put = (storedName: string, text: string): Promise<void> =>
      store.put(storedName, [Buffer.from(text)], { signal });
    const stored = async (storedName: string, offset?: number, length?: number): Promise<Buffer> => {
      const pieces: Uint8Array[] = [];
      const range = offset === undefined || length === undefined ? undefined : { offset, length };
      for await (const piece of store.get(storedName, signal, range)) pieces.push(piece);
      return Buffer.concat(pieces);
    };
    const listed = async (folder: string): Promise<StoreEntry[]> =>
      (await store.list(folder, signal)).toSorted((one, other) => (one.name < other.name ? -1 : 1));
    const names = async (folder: string): Promise<string[]> =>
      (await listed(folder)).map(({ name: entryName }) => entryName);

    test('gives ranges, with fewer bytes at the end of the file', async () => {
      const bytes = Buffer.from(seededBytes(1, 3 * MIB + 11));
      await store.put('long', [bytes], { signal });
      for (const [offset, length] of [
        [0, 1],
        [0, bytes.length],
        [1, MIB],
        [MIB - 3, 2 * MIB],
        [bytes.length - 5, 5],
        [bytes.length - 5, 500],
        [bytes.length, 10],
        [bytes.length + 10, 10],
        [7, 0],
      ] as const)
        expect((await stored('long', offset, length)).equals(bytes.subarray(offset, offset + length))).toBe(
          true,
        );
      await expect(stored('nothing', 0, 1)).rejects.toMatchObject({ code: 'target-missing' });
      await expect(stored('folder/nothing', 0, 1)).rejects.toMatchObject({ code: 'target-missing' });
    });

    test('lists files and folders with sizes and times, and nothing else', async () => {
      const before = Date.now();
      expect(await listed('')).toEqual([]);
      await put('a', 'some bytes');
      await put('empty', '');
      await put('folder/b', 'b');
      await put('folder/deeper/c', 'c');
      await writeFile(join(directory, 'folder', 'd.part-0123456789ab'), 'left over');
      const entries = await listed('');
      expect(entries.map(({ name: entryName, isFolder }) => [entryName, isFolder])).toEqual([
        ['a', false],
        ['empty', false],
        ['folder', true],
      ]);
      expect(entries[0]?.sizeBytes).toBe(10);
      expect(entries[1]?.sizeBytes).toBe(0);
      for (const { modifiedMs } of entries) expect(Math.abs(modifiedMs - before)).toBeLessThan(120_000);
      expect(await names('folder')).toEqual(['b', 'deeper']);
      expect(await names('folder/deeper')).toEqual(['c']);
      expect(await names('nothing')).toEqual([]);
      expect(await names('nothing/at/all')).toEqual([]);
    });

    test('makes folders that only their owner has access to, and leaves existing ones alone', async () => {
      await mkdir(join(directory, 'guests'));
      await chmod(join(directory, 'guests'), 0o775);
      await put('guests/web/packs/one', 'x');
      await store.rename('guests/web/packs/one', 'guests/web/trash/today/one', signal);
      const modes = [
        'guests',
        'guests/web',
        'guests/web/packs',
        'guests/web/trash',
        'guests/web/trash/today',
      ];
      const found = await Promise.all(modes.map((folder) => stat(join(directory, folder))));
      expect(found.map(({ mode }) => (mode & 0o777).toString(8))).toEqual([
        '775',
        '700',
        '700',
        '700',
        '700',
      ]);
    });

    test('lists the leftovers of broken puts separately, and removes them', async () => {
      const leftover = 'd.part-0123456789ab';
      await put('folder/b', 'b');
      await writeFile(join(directory, 'folder', leftover), 'left over');
      const leftovers = await store.list('folder', signal, 'leftovers');
      expect(leftovers).toContainEqual(
        expect.objectContaining({ name: leftover, isFolder: false, sizeBytes: 9 }),
      );
      // The put above leaves a temporary file when its line is cut.
      expect(leftovers.map(({ name }) => name.replace(/-[0-9a-f]{12}$/, ''))).toEqual(
        leftovers.map(({ name }) => (name === leftover ? 'd.part' : 'b.part')),
      );
      for (const { name } of leftovers) await store.remove(`folder/${name}`, signal);
      expect(await store.list('folder', signal, 'leftovers')).toEqual([]);
      expect(await names('folder')).toEqual(['b']);
    });

    test('lists nothing if its own directory is missing', async () => {
      const missing = await subject.open(join(directory, 'missing'));
      expect(await missing.list('', signal)).toEqual([]);
      expect(await readdir(directory)).toEqual([]);
    });

    /** A folder with a file beside the store, and its path relative to the store, for links. */
    const outside = async (): Promise<{ path: string; target: string; names: () => Promise<string[]> }> => {
      const path = await mkdtemp(join(subject.scratch, 'outside-'));
      await writeFile(join(path, 'file'), 'precious');
      const all = async () => (await readdir(path, { recursive: true })).toSorted();
      return { path, target: `../${basename(path)}`, names: all };
    };
    const damaged = { code: 'store-damaged' };

    test('lists everything that is neither file nor folder as strange, without following links', async () => {
      const { target } = await outside();
      await put('elsewhere/file', 'twelve bytes');
      await symlink(target, join(directory, 'folder'));
      await symlink('elsewhere/file', join(directory, 'linked'));
      await symlink('nowhere', join(directory, 'broken'));
      await run('mkfifo', [join(directory, 'pipe')]);
      expect(
        (await listed('')).map(({ name: entryName, isFolder, isStrange }) => [
          entryName,
          isFolder,
          isStrange,
        ]),
      ).toEqual([
        ['broken', false, true],
        ['elsewhere', true, undefined],
        ['folder', false, true],
        ['linked', false, true],
        ['pipe', false, true],
      ]);
      await symlink('nowhere', join(directory, 'd.part-0123456789ab'));
      expect(await store.list('', signal, 'leftovers')).toMatchObject([{ isFolder: false, isStrange: true }]);
    });

    test('does not follow or change a link under the given name', async () => {
      const { path, target, names: namesOutside } = await outside();
      await symlink(`${target}/file`, join(directory, 'link'));
      await symlink(target, join(directory, 'folder'));
      for (const link of ['link', 'folder']) {
        await expect(stored(link)).rejects.toMatchObject(damaged);
        await expect(stored(link, 0, 4)).rejects.toMatchObject(damaged);
        await expect(put(link, 'overwritten')).rejects.toMatchObject(damaged);
        await expect(store.remove(link, signal)).rejects.toMatchObject(damaged);
        await expect(store.rename(link, 'other', signal)).rejects.toMatchObject(damaged);
      }
      await expect(store.list('folder', signal)).rejects.toMatchObject(damaged);
      await store.removeFolder('folder', signal);
      expect((await readdir(directory)).toSorted()).toEqual(['folder', 'link']);
      expect(await namesOutside()).toEqual(['file']);
      expect(String(await readFile(join(path, 'file')))).toBe('precious');
    });

    test('does not follow links on the way to a name', async () => {
      const { path, target, names: namesOutside } = await outside();
      await mkdir(join(path, 'empty'));
      await mkdir(join(directory, 'guests'));
      await writeFile(join(directory, 'file'), 'x');
      await symlink(`../${target}`, join(directory, 'guests', 'web'));
      await symlink(target, join(directory, 'packs'));
      for (const folder of ['packs', 'guests/web']) {
        await expect(store.list(folder, signal)).rejects.toMatchObject(damaged);
        await expect(store.list(`${folder}/empty`, signal)).rejects.toMatchObject(damaged);
        await expect(stored(`${folder}/file`)).rejects.toMatchObject(damaged);
        await expect(store.remove(`${folder}/file`, signal)).rejects.toMatchObject(damaged);
        await expect(put(`${folder}/file`, 'overwritten')).rejects.toMatchObject(damaged);
        await expect(put(`${folder}/new/file`, 'x')).rejects.toMatchObject(damaged);
        await expect(store.rename(`${folder}/file`, 'stolen', signal)).rejects.toMatchObject(damaged);
        await expect(store.rename('file', `${folder}/file`, signal)).rejects.toMatchObject(damaged);
        await expect(store.removeFolder(`${folder}/empty`, signal)).rejects.toMatchObject(damaged);
      }
      expect(await namesOutside()).toEqual(['empty', 'file']);
      expect(String(await readFile(join(path, 'file')))).toBe('precious');
      expect(String(await readFile(join(directory, 'file')))).toBe('x');
    });

    test('neither reads a FIFO nor waits for it', async () => {
      await run('mkfifo', [join(directory, 'pipe')]);
      await expect(stored('pipe')).rejects.toMatchObject(damaged);
      await expect(store.remove('pipe', signal)).rejects.toMatchObject(damaged);
      await expect(store.rename('pipe', 'other', signal)).rejects.toMatchObject(damaged);
      await expect(put('pipe', 'x')).rejects.toMatchObject(damaged);
    });

    test('accepts a link as its own directory, which the user has named', async () => {
      await symlink(basename(directory), `${directory}-link`);
      const linked = await subject.open(`${directory}-link`);
      await linked.put('folder/file', [Buffer.from('x')], { signal });
      expect(await linked.rename('folder/file', 'other/file', signal)).toBe(true);
      expect(await linked.list('other', signal)).toMatchObject([{ name: 'file', sizeBytes: 1 }]);
      expect(String(await stored('other/file'))).toBe('x');
    });

    test('lists many files', async () => {
      await mkdir(join(directory, 'many'));
      const many = Array.from({ length: 500 }, (_, index) => `file-${String(index).padStart(3, '0')}`);
      for (const each of many) await writeFile(join(directory, 'many', each), each);
      expect(await names('many')).toEqual(many);
    });

    test('renames, and makes folders on the way', async () => {
      await put('packs/one', 'the first');
      expect(await store.rename('packs/one', 'trash/today/packs/one', signal)).toBe(true);
      expect(await names('packs')).toEqual([]);
      expect(String(await stored('trash/today/packs/one'))).toBe('the first');
      expect(await store.rename('trash/today/packs/one', 'packs/one', signal)).toBe(true);
      expect(String(await stored('packs/one'))).toBe('the first');
    });

    test('reports that there is no file to rename', async () => {
      await put('packs/other', 'x');
      expect(await store.rename('packs/none', 'packs/one', signal)).toBe(false);
      expect(await store.rename('packs/none', 'trash/one', signal)).toBe(false);
      expect(await store.rename('none/none', 'other', signal)).toBe(false);
      expect(String(await stored('packs/other'))).toBe('x');
    });

    test('replaces an existing file by a rename, even one of the same size', async () => {
      await put('trash/one', 'whole');
      await put('packs/one', 'whole');
      expect(await store.rename('trash/one', 'packs/one', signal)).toBe(true);
      expect(await names('trash')).toEqual([]);
      expect(String(await stored('packs/one'))).toBe('whole');
      for (const damaged of ['tru', 'whale']) {
        await put('trash/two', 'whole');
        await put('packs/two', damaged);
        expect(await store.rename('trash/two', 'packs/two', signal)).toBe(true);
        expect(String(await stored('packs/two'))).toBe('whole');
        expect(await names('trash')).toEqual([]);
      }
    });

    test('replaces an existing file, even one of the same size', async () => {
      await put('damaged', 'wholX');
      await put('damaged', 'whole');
      expect(String(await readFile(join(directory, 'damaged')))).toBe('whole');
      await put('damaged', 'whole');
      expect(String(await stored('damaged'))).toBe('whole');
      expect(await names('')).toEqual(['damaged']);
    });

    test('keeps an existing file if told to', async () => {
      await put('marker', 'the first');
      await store.put('marker', [Buffer.from('the second')], { signal, keepExisting: true });
      expect(String(await stored('marker'))).toBe('the first');
      await put('marker', 'the third');
      expect(String(await stored('marker'))).toBe('the third');
      expect(await names('')).toEqual(['marker']);
    });

    test('lets one of several concurrent puts of the same name win if existing files are kept', async () => {
      const texts = Array.from({ length: 8 }, (_, index) => String(index).repeat(index + 1));
      const seen = await Promise.all(
        texts.map(async (text) => {
          await store.put('keys/marker', [Buffer.from(text)], { signal, keepExisting: true });
          return String(await stored('keys/marker'));
        }),
      );
      expect(new Set(seen).size).toBe(1);
      expect(texts).toContain(seen[0]);
      expect(await names('keys')).toEqual(['marker']);
    });

    test('removes only empty folders', async () => {
      await put('trash/today/one', 'x');
      await store.removeFolder('trash/today', signal);
      expect(String(await stored('trash/today/one'))).toBe('x');
      await store.remove('trash/today/one', signal);
      await store.removeFolder('trash/today', signal);
      expect(await names('trash')).toEqual([]);
      await store.removeFolder('trash/today', signal);
      await store.removeFolder('nothing/at/all', signal);
      expect(await readdir(join(directory, 'trash'))).toEqual([]);
      // Afterwards the folder can be made again.
      await put('trash/today/two', 'y');
      expect(await names('trash/today')).toEqual(['two']);
    });

    test('refuses names that could lead elsewhere', async () => {
      await put('there', 'x');
      for (const bad of ['/etc', '../up', 'a/../b', './a', 'a//b', 'a/', 'a\0b']) {
        await expect(store.list(bad, signal)).rejects.toMatchObject({ code: 'internal' });
        await expect(store.removeFolder(bad, signal)).rejects.toMatchObject({ code: 'internal' });
        await expect(store.rename('there', bad, signal)).rejects.toMatchObject({ code: 'internal' });
        await expect(store.rename(bad, 'here', signal)).rejects.toMatchObject({ code: 'internal' });
      }
      await expect(store.removeFolder('', signal)).rejects.toMatchObject({ code: 'internal' });
      expect(await names('')).toEqual(['there']);
    });

    test('does nothing if the signal is already aborted', async () => {
      await put('folder/there', 'x');
      const reason = new Error('stopped by the test');
      const aborted = AbortSignal.abort(reason);
      await expect(store.list('', aborted)).rejects.toBe(reason);
      await expect(store.rename('folder/there', 'here', aborted)).rejects.toBe(reason);
      await store.remove('folder/there', signal);
      await expect(store.removeFolder('folder', aborted)).rejects.toBe(reason);
      expect(await names('')).toEqual(['folder']);
    });

    test('does many operations concurrently', async () => {
      const contents = Array.from({ length: 12 }, (_, index) => Buffer.from(seededBytes(index, MIB + index)));
      const nameOf = (index: number): string => `guests/g${index % 3}/packs/${index}`;
      await Promise.all(contents.map((bytes, index) => store.put(nameOf(index), [bytes], { signal })));
      const outcomes = await Promise.all([
        ...contents.map(async (bytes, index) => (await stored(nameOf(index))).equals(bytes)),
        ...contents.map(async (bytes, index) =>
          (await stored(nameOf(index), 1000, 5000)).equals(bytes.subarray(1000, 6000)),
        ),
        ...['g0', 'g1', 'g2'].map(async (guest) => (await names(`guests/${guest}/packs`)).length === 4),
        store.put('two', [contents[0] ?? Buffer.alloc(0)], { signal }).then(() => true),
        store.put('three', [contents[1] ?? Buffer.alloc(0)], { signal }).then(() => true),
      ]);
      expect(outcomes).not.toContain(false);
    });

    test('has the content of one put after several concurrent puts of the same name', async () => {
      const contents = ['first', 'second', 'third', 'third'];
      await Promise.all(contents.map((text) => put('same', text)));
      expect(contents).toContain(String(await stored('same')));
      expect(await names('')).toEqual(['same']);
    });
  });
}
