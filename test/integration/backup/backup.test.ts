import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import { listStore } from '../../../src/operations/stores/list-store.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { FaultyStore } from '../../support/stores/faulty-store.ts';
import { end, startHolder } from '../../support/programs/holder.ts';
import {
  extVariant,
  filesInExt,
  imageTools,
  makeExtImage,
  patchFile,
  seededBytes,
} from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

let world: BackupWorld;
let image: string;

beforeEach(() => {
  world = new BackupWorld();
  image = join(world.path, 'disk.img');
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** A file without a known file system: all of it is backed up. */
function makeDisk(sizeBytes = 24 * MIB): void {
  // No part of it compresses or occurs twice.
  writeFileSync(image, seededBytes(sizeBytes, sizeBytes));
}

function folder(name: string): string[] {
  try {
    return readdirSync(join(world.storePath, 'guests', 'disk.img', name)).toSorted();
  } catch {
    return [];
  }
}

function isSame(first: string, second: string): boolean {
  return readFileSync(first).equals(readFileSync(second));
}

describeWithTools('a backup', [...imageTools, 'zstd', 'tar'], () => {
  test('can be restored without vmferry, byte for byte', async () => {
    makeDisk();
    const { guests, failed } = await world.backup(image);
    expect(failed).toEqual([]);
    const [made] = guests;
    expect(made).toMatchObject({ guest: 'disk.img', consistency: 'halted' });
    const restored = world.restoreByScript('disk.img', made?.snapshot ?? '');
    expect(isSame(join(restored, 'disk.img'), image)).toBe(true);
  });

  test('leaves out free blocks of a clean file system', async () => {
    makeExtImage(image, extVariant('ext4, 1 KiB'));
    const { guests } = await world.backup(image);
    expect(guests[0]?.disks[0]?.freeBytes).toBeGreaterThan(0);
    const { guests: listed } = await listStore(null, await world.session(), world.context());
    expect(listed[0]?.snapshots[0]?.usedBytes).toBe(guests[0]?.disks[0]?.readBytes);
    const restored = world.restoreByScript('disk.img', guests[0]?.snapshot ?? '');
    expect(filesInExt(join(restored, 'disk.img'))).toEqual(filesInExt(image));
  });

  test('of an unchanged image adds only a manifest', async () => {
    makeDisk();
    const first = await world.backup(image);
    const before = [folder('packs'), folder('maps'), folder('index')];
    const second = await world.backup(image);
    expect([folder('packs'), folder('maps'), folder('index')]).toEqual(before);
    expect(folder('snapshots')).toHaveLength(2);
    expect(second.guests[0]).toMatchObject({ newBytes: 0, newPlainBytes: 0 });
    expect(second.guests[0]?.disks).toEqual(first.guests[0]?.disks);
  });

  test('of a changed image sends only the changes; each snapshot stays as it was', async () => {
    makeDisk();
    const snapshots: { id: string; bytes: Buffer }[] = [];
    for (let round = 0; round < 3; round++) {
      // Three changes, two of them in one chunk, one beside it.
      if (round > 0)
        for (const offset of [5 * MIB, 5 * MIB + 4096, 5 * MIB + 65_536])
          patchFile(image, offset, seededBytes(round, 100));
      const { guests } = await world.backup(image);
      if (round > 0) expect(guests[0]?.newPlainBytes).toBe(2 * 65_536);
      snapshots.push({ id: guests[0]?.snapshot ?? '', bytes: readFileSync(image) });
    }
    for (const { id, bytes } of snapshots) {
      const restored = world.restoreByScript('disk.img', id);
      expect(readFileSync(join(restored, 'disk.img')).equals(bytes)).toBe(true);
    }
  });

  test('stores chunks that occur twice only once, also in one image', async () => {
    const half = seededBytes(7, 4 * MIB);
    writeFileSync(image, Buffer.concat([half, Buffer.alloc(MIB), half]));
    const { guests } = await world.backup(image);
    expect(guests[0]?.newPlainBytes).toBe(4 * MIB);
    const restored = world.restoreByScript('disk.img', guests[0]?.snapshot ?? '');
    expect(isSame(join(restored, 'disk.img'), image)).toBe(true);
  });

  test('of an image that has grown or shrunk has the new size', async () => {
    makeDisk(8 * MIB + 512);
    await world.backup(image);
    for (const sizeBytes of [12 * MIB + 1024, 3 * MIB + 1536]) {
      truncateSync(image, sizeBytes);
      const { guests } = await world.backup(image);
      const restored = world.restoreByScript('disk.img', guests[0]?.snapshot ?? '');
      expect(isSame(join(restored, 'disk.img'), image)).toBe(true);
    }
  });

  test('that is cut off leaves packs, which the next backup uses', async () => {
    makeDisk(200 * MIB);
    const stop = new AbortController();
    const broken = new FaultyStore(openDirectoryStore(world.storePath), 1, {});
    const breaking = world.backup(image, { store: broken, signal: stop.signal });
    // The first index is written after sixteen packs.
    while (!folder('index').some((name) => name.endsWith('.zst'))) await new Promise(setImmediate);
    stop.abort(new Failure('interrupted', 'Enough.'));
    await failureOf(() => breaking);
    expect(folder('snapshots')).toEqual([]);
    expect(folder('packs').some((name) => name.includes('.part-'))).toBe(false);
    const { guests } = await world.backup(image);
    expect(guests[0]?.newPlainBytes).toBeLessThanOrEqual(200 * MIB - 16 * 8 * MIB + 16 * MIB);
    const restored = world.restoreByScript('disk.img', guests[0]?.snapshot ?? '');
    expect(isSame(join(restored, 'disk.img'), image)).toBe(true);
  });

  test('sends again the chunks that the store has lost, or that were found damaged', async () => {
    makeDisk();
    const { guests } = await world.backup(image);
    const [lost, damaged] = folder('packs');
    rmSync(join(world.storePath, 'guests', 'disk.img', 'packs', lost ?? ''));
    const session = await world.session();
    await session
      .folder('disk.img')
      .mark('damaged', (damaged ?? '').replace('.tar', ''), world.context().signal);
    patchFile(join(world.storePath, 'guests', 'disk.img', 'packs', damaged ?? ''), 3000, Buffer.of(1, 2, 3));
    const again = await world.backup(image);
    expect(again.guests[0]?.newPlainBytes).toBeGreaterThan(0);
    // If the same chunks form the same pack again, that pack has the same name, and is whole.
    const marks = await session.folder('disk.img').marks('damaged', world.context().signal);
    if (marks.size > 0) rmSync(join(world.storePath, 'guests', 'disk.img', 'packs', damaged ?? ''));
    for (const { snapshot } of [...guests, ...again.guests]) {
      const restored = world.restoreByScript('disk.img', snapshot);
      expect(isSame(join(restored, 'disk.img'), image)).toBe(true);
    }
  });

  test('no longer counts a pack as damaged after it was sent again under its name', async () => {
    makeDisk(MIB / 2);
    await world.backup(image);
    const signal = world.context().signal;
    const files = (await world.session()).folder('disk.img');
    const [pack = ''] = [...(await files.objects('packs', signal)).keys()];
    const [page = ''] = [...(await files.objects('maps', signal)).keys()];
    for (const id of [pack, page]) await files.mark('damaged', id, signal);
    patchFile(join(world.storePath, files.nameOf('packs', pack)), 3000, Buffer.of(1, 2, 3));
    patchFile(join(world.storePath, files.nameOf('maps', page)), 30, Buffer.of(1, 2, 3));
    const again = await world.backup(image);
    expect(again.guests[0]?.newPlainBytes).toBe(MIB / 2);
    expect(await files.marks('damaged', signal)).toEqual(new Set());
    const third = await world.backup(image);
    expect(third.guests[0]).toMatchObject({ newBytes: 0, newPlainBytes: 0 });
    const restored = world.restoreByScript('disk.img', third.guests[0]?.snapshot ?? '');
    expect(isSame(join(restored, 'disk.img'), image)).toBe(true);
  });

  test('reports progress, to the end', async () => {
    makeDisk();
    const { guests } = await world.backup(image);
    const isProgress = (event: Event) => event.type === 'progress';
    expect(world.events.filter(isProgress).at(-1)).toMatchObject({
      stage: 'backup',
      doneBytes: guests[0]?.disks[0]?.readBytes,
      totalBytes: guests[0]?.disks[0]?.readBytes,
    });
  });
});

describeWithTools('a backup that fails', [...imageTools, 'zstd', 'tar'], () => {
  test('for one guest does not stop the others', async () => {
    makeDisk();
    const { guests, failed } = await world.backup([join(world.path, 'none.img'), image]);
    expect(guests.map(({ guest }) => guest)).toEqual(['disk.img']);
    expect(failed).toMatchObject([{ code: 'image-missing' }]);
    expect(world.warnings).toContainEqual(expect.stringContaining('none.img was not backed up'));
  });

  test('for all guests throws the first failure', async () => {
    const failure = await failureOf(() =>
      world.backup([join(world.path, 'none.img'), join(world.path, 'no.img')]),
    );
    expect(failure.code).toBe('image-missing');
  });

  test('may run while another program reads the image, as another backup does', async () => {
    makeDisk();
    const reader = await startHolder(image, ['r']);
    try {
      expect((await world.backup(image)).failed).toEqual([]);
    } finally {
      await end(reader);
    }
    const writer = await startHolder(image, ['r', 'r+']);
    try {
      expect(await failureOf(() => world.backup(image))).toMatchObject({
        code: 'image-in-use',
        message: `${image} is open in sleep (process ${writer.pid}).`,
      });
    } finally {
      await end(writer);
    }
    expect(folder('snapshots')).toHaveLength(1);
  });

  test('leaves no snapshot of an image that another program opens for writing meanwhile', async () => {
    makeDisk(64 * MIB);
    const session = world.backup(image);
    while (folder('packs').length === 0) await new Promise(setImmediate);
    const writer = await startHolder(image, ['r+']);
    try {
      expect((await failureOf(() => session)).message).toContain(`process ${writer.pid}`);
    } finally {
      await end(writer);
    }
    expect(folder('snapshots')).toEqual([]);
  });

  test('leaves no snapshot of an image that changed while it was read', async () => {
    makeDisk(64 * MIB);
    const session = world.backup(image);
    while (folder('packs').length === 0) await new Promise(setImmediate);
    patchFile(image, 60 * MIB, Buffer.of(1));
    expect((await failureOf(() => session)).code).toBe('image-in-use');
    expect(folder('snapshots')).toEqual([]);
  });

  test.each([1, 2, 3, 4])(
    'to a store that sometimes fails leaves only sound snapshots (seed %d)',
    async (seed) => {
      makeDisk();
      const faulty = new FaultyStore(openDirectoryStore(world.storePath), seed, { fail: 0.1 });
      for (let round = 0; round < 6; round++) {
        patchFile(image, round * MIB, seededBytes(seed * 100 + round, 1000));
        await world.backup(image, { store: faulty }).catch(() => undefined);
        for (const name of folder('snapshots')) {
          const restored = world.restoreByScript('disk.img', name.replace('.json', ''));
          expect(statSync(join(restored, 'disk.img')).size).toBe(24 * MIB);
        }
      }
    },
  );
});

describeWithTools('an encrypted backup', [...imageTools, 'zstd', 'tar'], () => {
  test('shows only names without the key', async () => {
    await world[Symbol.asyncDispose]();
    world = new BackupWorld({ encrypt: true });
    image = join(world.path, 'disk.img');
    const secret = Buffer.from('a line that must not be seen by anybody\n'.repeat(5000));
    writeFileSync(image, Buffer.concat([secret, Buffer.alloc(MIB - (secret.length % MIB))]).subarray(0, MIB));
    await world.backup(image);
    await world.backup(image);
    const files = readdirSync(world.storePath, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(files.length).toBeGreaterThan(5);
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      for (const word of [
        'must not be seen',
        'vmferry-chunk-map',
        'image-bytes',
        'vmferry-index',
        'fingerprint',
      ])
        expect(bytes.includes(word)).toBe(false);
      // The magic number of zstd does not occur: nothing is compressed without being sealed.
      expect(bytes.includes(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))).toBe(false);
    }
  });
});
