import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '../../src/store/store.ts';

/** One implementation of Store, which works on directories of this machine that the suite can inspect. */
export interface StoreUnderTest {
  /** Where the suite may make directories for its stores. */
  scratch: string;
  open(directory: string): Store | Promise<Store>;
  /** Its connection may be cut at any moment, so temporary files may be left. */
  leavesTemporaryFiles?: boolean;
  stop(): Promise<void>;
}

const signal = new AbortController().signal;
const MIB = 1 << 20;

/** What every Store must do: tests of what the comments of the interface say. */
export function describeStore(name: string, start: () => Promise<StoreUnderTest>): void {
  describe(`a store: ${name}`, () => {
    let subject: StoreUnderTest;
    let directory: string;
    let store: Store;
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
    const everything = async (): Promise<string[]> =>
      (await readdir(directory, { recursive: true }))
        .filter((file) => subject.leavesTemporaryFiles !== true || !file.includes('.part-'))
        .toSorted();
    const stored = async (storedName: string, by: AbortSignal = signal): Promise<Buffer> => {
      const pieces: Uint8Array[] = [];
      for await (const piece of store.get(storedName, by)) pieces.push(piece);
      return Buffer.concat(pieces);
    };

    test('gives back what was put, in parts of any sizes', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 100_000 }), { maxLength: 6 }),
          fc.boolean(),
          async (parts, durable) => {
            await store.put('bytes', parts, { signal, durable });
            expect((await stored('bytes')).equals(Buffer.concat(parts))).toBe(true);
          },
        ),
        { numRuns: 15 },
      );
    });

    test('stores large contents completely, and counts the written bytes', async () => {
      const parts = [1, 5 * MIB + 17, 512, 3 * MIB, 0, 7].map((size, index) => Buffer.alloc(size, index + 1));
      let writtenBytes = 0;
      await store.put('large', parts, { signal, onWritten: (bytes) => (writtenBytes += bytes) });
      const whole = Buffer.concat(parts);
      expect(writtenBytes).toBe(whole.length);
      expect((await readFile(join(directory, 'large'))).equals(whole)).toBe(true);
      expect((await stored('large')).equals(whole)).toBe(true);
      expect(await everything()).toEqual(['large']);
    });

    test('replaces an existing file', async () => {
      await store.put('twice', [Buffer.from('first, and longer')], { signal });
      await store.put('twice', [Buffer.from('second')], { signal });
      expect(String(await stored('twice'))).toBe('second');
      expect(await everything()).toEqual(['twice']);
    });

    test('makes the folders on the way to a name, and does several puts concurrently', async () => {
      const names = ['a/b/one', 'a/b/two', 'a/three', 'four'];
      await Promise.all(names.map((each) => store.put(each, [Buffer.from(each)], { signal })));
      for (const each of names) expect(String(await stored(each))).toBe(each);
    });

    test('has nothing under a name that was never put', async () => {
      await expect(stored('nothing')).rejects.toMatchObject({ code: 'target-missing' });
      await store.remove('nothing', signal);
    });

    test('removes files', async () => {
      await store.put('short-lived', [Buffer.from('x')], { signal });
      await store.remove('short-lived', signal);
      expect(await everything()).toEqual([]);
    });

    test('does not make its own directory', async () => {
      const missing = await subject.open(join(directory, 'missing'));
      await expect(missing.put('a', [], { signal })).rejects.toMatchObject({ code: 'target-missing' });
      await expect(missing.put('a/b', [], { signal })).rejects.toMatchObject({ code: 'target-missing' });
      expect(await everything()).toEqual([]);
    });

    test('refuses names that could lead elsewhere', async () => {
      for (const bad of ['', '/etc/passwd', '../up', 'a/../b', './a', 'a//b', 'a/', 'a\0b']) {
        await expect(store.put(bad, [], { signal })).rejects.toMatchObject({ code: 'internal' });
        await expect(stored(bad)).rejects.toMatchObject({ code: 'internal' });
        await expect(store.remove(bad, signal)).rejects.toMatchObject({ code: 'internal' });
      }
    });

    test('keeps the existing file, and leaves nothing else, if a put is aborted', async () => {
      await store.put('kept', [Buffer.from('old')], { signal });
      const stop = new AbortController();
      const reason = new Error('stopped by the test');
      const put = store.put('kept', [Buffer.alloc(8 * MIB), Buffer.alloc(24 * MIB)], {
        signal: stop.signal,
        onWritten: () => stop.abort(reason),
      });
      await expect(put).rejects.toBe(reason);
      expect(await everything()).toEqual(['kept']);
      expect(String(await stored('kept'))).toBe('old');
    });

    test('does nothing if the signal is already aborted', async () => {
      const reason = new Error('stopped by the test');
      const aborted = AbortSignal.abort(reason);
      await expect(store.put('a', [], { signal: aborted })).rejects.toBe(reason);
      await expect(store.remove('a', aborted)).rejects.toBe(reason);
      await expect(stored('a', aborted)).rejects.toBe(reason);
      expect(await everything()).toEqual([]);
    });

    test('leaves no temporary file if the name cannot be replaced', async () => {
      await mkdir(join(directory, 'taken'));
      await writeFile(join(directory, 'taken', 'file'), '');
      await expect(store.put('taken', [Buffer.from('x')], { signal })).rejects.toThrow();
      expect(await everything()).toEqual(['taken', 'taken/file']);
    });

    test('can be read in part', async () => {
      await store.put('long', [Buffer.alloc(9 * MIB, 1)], { signal });
      for await (const piece of store.get('long', signal)) {
        expect(piece.byteLength).toBeGreaterThan(0);
        break;
      }
      expect((await stored('long')).length).toBe(9 * MIB);
      await rm(join(directory, 'long'));
    });
  });
}
