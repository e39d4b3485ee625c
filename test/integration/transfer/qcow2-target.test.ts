import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { ImageTarget } from '../../../src/image/target/image-target.ts';
import { findTargetPlace } from '../../../src/image/target/target-place.ts';
import { ImageApply } from '../../../src/transfer/image-apply.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { applyPacks, applyTo, captureFile, frameWorkerUrl } from '../../support/assembly.ts';
import { failureOf } from '../../support/failures.ts';
import { makeRawDisk, viewsMissing, viewsOf } from '../../support/images/containers.ts';
import {
  makeSparseFile,
  patchFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../support/images/images.ts';
import { loopDevicesMissing } from '../../support/images/loop-device.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const SIZE = 24 * MIB;
const attributes = { mode: 0o640, uid: 0, gid: 0, modifiedMs: 1_600_000_000_000 };
const claim = { store: 'a', guest: 'web', snapshot: 'b', disk: 'disk', imageFormat: 'qcow2' } as const;

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

function compare(raw: string, qcow2: string): void {
  runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, qcow2]);
  runTool('qemu-img', ['check', '-q', '-f', 'qcow2', qcow2]);
}

describeUnless(viewsMissing(), 'a qcow2 image as a target', () => {
  test('holds the disk, sparse, and is read back past the page cache', async () => {
    using scratch = scratchDirectory();
    const [raw, path] = [join(scratch.path, 'raw'), join(scratch.path, 'disk.qcow2')];
    makeRawDisk(raw);
    const captured = await captureFile(raw, pool);
    {
      await using target = await ImageTarget.create(path, SIZE, 'qcow2');
      expect(target).toMatchObject({ isEmpty: true, readBackMethod: 'direct' });
      const apply = applyTo(target, pool);
      await applyPacks(captured.packs, apply);
      expect(await apply.verify()).toBe(captured.map.fingerprint());
      expect(existsSync(path)).toBe(false);
      expect(await target.setAttributes(attributes)).toBe(true);
      await target.publish();
    }
    compare(raw, path);
    expect(readdirSync(scratch.path).toSorted()).toEqual(['disk.qcow2', 'raw']);
    const { mode, mtimeMs, blocks } = statSync(path);
    expect({ mode: mode & 0o777, mtimeMs }).toEqual({ mode: 0o640, mtimeMs: attributes.modifiedMs });
    expect(blocks * 512).toBeLessThan(6 * MIB);
    expect(viewsOf(process.pid)).toEqual([]);
  });

  test('what is overwritten in place has holes where zeros were written', async () => {
    using scratch = scratchDirectory();
    const [old, raw, path] = ['old', 'raw', 'disk.qcow2'].map((name) => join(scratch.path, name)) as [
      string,
      string,
      string,
    ];
    makeRawDisk(old, 7);
    runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', old, path]);
    makeSparseFile(raw, SIZE);
    patchFile(raw, 9 * MIB, seededBytes(3, MIB));
    const captured = await captureFile(raw, pool);
    const place = await findTargetPlace({ path, sizeBytes: SIZE, claim, inPlace: true });
    {
      await using target = await ImageTarget.open(place, SIZE, claim, 'qcow2');
      const apply = applyTo(target, pool);
      const { notEmpty } = await apply.survey(() => undefined);
      await apply.clear(notEmpty);
      await applyPacks(captured.packs, apply);
      await apply.sync();
      expect(await apply.verify()).toBe(captured.map.fingerprint());
      await target.publish();
    }
    compare(raw, path);
    const map = JSON.parse(runTool('qemu-img', ['map', '--output=json', '-f', 'qcow2', path])) as {
      length: number;
      data: boolean;
    }[];
    const dataBytes = map.reduce((sum, { length, data }) => sum + (data ? length : 0), 0);
    expect(dataBytes).toBe(MIB);
  });

  test('an interrupted restore is continued, also if it was killed before the header was complete', async () => {
    using scratch = scratchDirectory();
    const [raw, path] = [join(scratch.path, 'raw'), join(scratch.path, 'disk.qcow2')];
    makeRawDisk(raw);
    const captured = await captureFile(raw, pool);
    const { map } = captured;
    const notEmpty = Array.from({ length: map.grid.chunkCount }, (_, at) => map.get(at)).filter(
      Boolean,
    ).length;
    const request = { path, sizeBytes: SIZE, claim, inPlace: false };
    {
      await using first = await ImageTarget.open(await findTargetPlace(request), SIZE, claim, 'qcow2');
      const apply = applyTo(first, pool);
      await applyPacks(captured.packs.slice(0, 1), apply);
      await apply.sync();
    }
    for (const kept of ['whole', 'torn'] as const) {
      if (kept === 'torn') patchFile(`${path}.partial`, 0, new Uint8Array(512));
      const place = await findTargetPlace(request);
      expect(place.kind).toBe('partial-file');
      await using target = await ImageTarget.open(place, SIZE, claim, 'qcow2');
      const { signal } = new AbortController();
      const apply = new ImageApply(target, captured.map, { pool, signal, onReadBack: () => undefined });
      const { wanted } = await apply.survey(() => undefined);
      if (kept === 'torn') expect(wanted).toHaveLength(notEmpty);
      else expect(wanted.length).toBeLessThan(notEmpty);
    }
  });

  test('another restore does not continue it as a raw image', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'disk');
    const { imageFormat: _, ...raw } = claim;
    const place = await findTargetPlace({ path, sizeBytes: MIB, claim, inPlace: false });
    await (await ImageTarget.open(place, MIB, claim, 'qcow2'))[Symbol.asyncDispose]();
    const failure = await failureOf(() =>
      findTargetPlace({ path, sizeBytes: MIB, claim: raw, inPlace: false }),
    );
    expect(failure.code).toBe('target-exists');
  });

  test.each([
    ['a raw image', (path: string) => makeSparseFile(path, MIB)],
    ['an image of another size', (path: string) => create(path, '2M')],
    [
      'an image with a snapshot',
      (path: string) => {
        create(path, '1M');
        runTool('qemu-img', ['snapshot', '-c', 'monday', path]);
      },
    ],
  ])('%s is not overwritten in place', async (_, make) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'disk.qcow2');
    make(path);
    const before = readFileSync(path);
    const place = await findTargetPlace({ path, sizeBytes: MIB, claim, inPlace: true });
    const failure = await failureOf(() => ImageTarget.open(place, MIB, claim, 'qcow2'));
    expect(failure.code).toBe('target-exists');
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

function create(path: string, size: string): void {
  runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, size]);
}

describeUnless(viewsMissing() ?? loopDevicesMissing(), 'a qcow2 image on a full disk', () => {
  test.each(['ext4', 'tmpfs'])('%s: it is target-full, and nothing is left', async (kind) => {
    using scratch = scratchDirectory();
    const [raw, small] = [join(scratch.path, 'raw'), join(scratch.path, 'small')];
    makeSparseFile(raw, SIZE);
    patchFile(raw, 0, seededBytes(5, 20 * MIB));
    const captured = await captureFile(raw, pool);
    mkdirSync(small);
    if (kind === 'tmpfs') runTool('mount', ['-t', 'tmpfs', '-o', 'size=8M', 'none', small]);
    else {
      makeSparseFile(join(scratch.path, 'device'), 10 * MIB);
      runTool('mke2fs', ['-q', '-t', 'ext4', '-F', join(scratch.path, 'device')]);
      runTool('mount', ['-o', 'loop', join(scratch.path, 'device'), small]);
    }
    try {
      const target = await ImageTarget.create(join(small, 'disk.qcow2'), SIZE, 'qcow2');
      const apply = applyTo(target, pool);
      const failure = await failureOf(async () => {
        await applyPacks(captured.packs, apply);
        await apply.verify();
      });
      expect(failure.code).toBe('target-full');
      await apply[Symbol.asyncDispose]();
      await target.discard();
      await target[Symbol.asyncDispose]().catch(() => undefined);
      expect(readdirSync(small).filter((name) => name !== 'lost+found')).toEqual([]);
      expect(viewsOf(process.pid)).toEqual([]);
    } finally {
      spawnSync('umount', [small]);
    }
  });
});
