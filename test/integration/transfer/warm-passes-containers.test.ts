import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ImageFormat } from '../../../src/image/formats/image-format.ts';
import { writeGraph } from '../../../src/image/formats/view/block-graph.ts';
import { startView, type View } from '../../../src/image/formats/view/view.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../../support/assembly.ts';
import { directCopy, type DirectCopy } from '../../support/direct-copy.ts';
import {
  BLOCK,
  changeDisk,
  CHUNK,
  makeChangingDisk,
  whileChanging,
} from '../../support/images/changing-disk.ts';
import { convert, viewsMissing, viewsOf } from '../../support/images/containers.ts';
import { patchFile, runTool, scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { mountingMissing, mountNew, type MountedKind } from '../../support/images/reflink-file-system.ts';
import { writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

/** A program of QEMU that has the image open and writes to it, as the process of a guest does: by way of caches of its own. */
interface Hypervisor extends AsyncDisposable {
  change(random: () => number): void;
  write(offset: number, bytes: Uint8Array): void;
}

async function startHypervisor(image: string): Promise<Hypervisor> {
  const fd = openSync(image, constants.O_RDWR);
  const view: View = await startView(writeGraph(fd, false), { writable: true, yieldsDisk: false, image });
  const disk = openSync(view.path, constants.O_RDWR);
  return {
    change: (random) => changeDisk(disk, random),
    write(offset, bytes) {
      writeSync(disk, bytes, 0, bytes.length, offset);
    },
    async [Symbol.asyncDispose]() {
      closeSync(disk);
      await view[Symbol.asyncDispose]();
      closeSync(fd);
    },
  };
}

const kinds: { name: string; kind: MountedKind | null; options: string[] }[] = [
  { name: 'qcow2, on any file system', kind: null, options: [] },
  { name: 'compressed qcow2, on any file system', kind: null, options: ['-c'] },
  { name: 'qcow2, on XFS, by clones', kind: 'xfs', options: [] },
  { name: 'compressed qcow2, on XFS, by clones', kind: 'xfs', options: ['-c'] },
  {
    name: 'qcow2 with small clusters, on btrfs, by clones',
    kind: 'btrfs',
    options: ['-o', 'cluster_size=4k'],
  },
];

describe.each(kinds)('a container that is copied while it changes: $name', ({ kind, options }) => {
  const missing = viewsMissing() ?? (kind === null ? null : mountingMissing(kind));
  describeUnless(missing, 'with file system', () => {
    const format: ImageFormat = 'qcow2';
    const isCompressed = options.includes('-c');
    let scratch: Disposable & { path: string };
    let image: string;
    let copy: DirectCopy;
    beforeEach(async () => {
      scratch = kind === null ? scratchDirectory() : mountNew(kind);
      image = join(scratch.path, 'image.qcow2');
      const raw = join(scratch.path, 'raw');
      makeChangingDisk(raw);
      runTool('qemu-img', ['convert', '-f', 'raw', '-O', format, ...options, raw, image]);
      copy = await directCopy(image, scratch.path, pool, false, format);
    });
    afterEach(async () => {
      await copy[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    });

    function expectCopied(): void {
      const expected = join(scratch.path, 'expected');
      runTool('qemu-img', ['convert', '-f', format, '-O', 'raw', image, expected]);
      expect(readFileSync(join(scratch.path, 'copy')).equals(readFileSync(expected))).toBe(true);
      runTool('qemu-img', ['check', '-q', '-f', format, image]);
    }

    test('is copied whole, and its clones and views are removed', async () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      try {
        {
          await using hypervisor = await startHypervisor(image);
          for (let pass = 0; pass < 3; pass++) {
            await whileChanging(() => hypervisor.change(random), copy.pass());
            for (let count = 0; count < 5; count++) hypervisor.change(random);
          }
        }
        await copy.lastPass();
        await copy.finish();
        await copy.publish();
        expectCopied();
      } catch (error) {
        throw new Error(`VMFERRY_TEST_SEED=${seed}`, { cause: error });
      }
      await copy[Symbol.asyncDispose]();
      expect(readdirSync(scratch.path).filter((name) => name.includes('vmferry'))).toEqual([]);
      expect(viewsOf(process.pid)).toEqual([]);
    });

    test('is sent once: later passes send what has changed, and by clones read little else', async () => {
      {
        await using hypervisor = await startHypervisor(image);
        expect(await copy.pass()).toMatchObject({ changedBytes: 94 * CHUNK });
        const second = await copy.pass();
        expect(second.changedBytes).toBe(0);
        if (kind !== null && !isCompressed) expect(second.readBytes).toBe(0);
        hypervisor.write(10 * CHUNK, seededBytes(7, BLOCK));
      }
      const last = await copy.lastPass();
      expect(last.changedBytes).toBe(CHUNK);
      if (kind !== null && !isCompressed) expect(last.readBytes).toBe(CHUNK);
      await copy.finish();
      await copy.publish();
      expectCopied();
      expect(copy.events.filter(({ type }) => type === 'warning')).toEqual([]);
    });
  });
});

describeUnless(viewsMissing(), 'a container whose tables are damaged while it is read', () => {
  test('is surveyed and read again, and a second damaged pass ends the move', async () => {
    using scratch = scratchDirectory();
    const [raw, image] = [join(scratch.path, 'raw'), join(scratch.path, 'image.qcow2')];
    writeSparseImage(raw, { sectors: 48 * 2048, pieces: [{ sector: 0, sectors: 48 * 2048, kind: 'noise' }] });
    convert(raw, image, 'qcow2', []);
    const whole = readFileSync(image);
    // The last cluster counts as compressed, and has noise: the beginning of the disk is read, and sent, before.
    const table = Number(whole.readBigUInt64BE(Number(whole.readBigUInt64BE(40))) & 0x00ff_ffff_ffff_fe00n);
    const entry = table + 8 * (48 * 16 - 1);
    const damage = () => patchFile(image, entry, Buffer.from('4000000000500000', 'hex'));
    await using copy = await directCopy(image, scratch.path, pool, false, 'qcow2');
    damage();
    const broken = await copy.pass();
    expect(broken.changedBytes).toBeLessThan(48 * 2 ** 20);
    expect(copy.events).toContainEqual({
      type: 'notice',
      message: expect.stringMatching(/^This pass over .*image\.qcow2 ends early: /) as unknown,
    });
    patchFile(image, entry, whole.subarray(entry, entry + 8));
    // Nothing was written since: but nobody knows what the broken pass has read.
    const again = await copy.pass([]);
    expect(again.changedBytes + broken.changedBytes).toBeGreaterThanOrEqual(48 * 2 ** 20);
    expect(again.changedBytes).toBeLessThan(48 * 2 ** 20);
    await copy.lastPass();
    await copy.finish();
    await copy.publish();
    expect(readFileSync(join(scratch.path, 'copy')).equals(readFileSync(raw))).toBe(true);
  });

  test('ends the move if it is so twice', async () => {
    using scratch = scratchDirectory();
    const [raw, image] = [join(scratch.path, 'raw'), join(scratch.path, 'image.qcow2')];
    writeSparseImage(raw, { sectors: 2048, pieces: [{ sector: 0, sectors: 2048, kind: 'text' }] });
    convert(raw, image, 'qcow2', []);
    await using copy = await directCopy(image, scratch.path, pool, false, 'qcow2');
    const whole = readFileSync(image);
    const table = Number(whole.readBigUInt64BE(Number(whole.readBigUInt64BE(40))) & 0x00ff_ffff_ffff_fe00n);
    patchFile(image, table, Buffer.from('8000000000000200', 'hex'));
    await copy.pass();
    await expect(copy.pass()).rejects.toMatchObject({ code: 'read-failed' });
  });
});
