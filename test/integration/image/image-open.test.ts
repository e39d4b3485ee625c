import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { openImage } from '../../../src/image/open-image.ts';
import {
  makeGarbageFile,
  makeSparseFile,
  patchFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing } from '../../support/images/loop-device.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

async function failureOf(call: () => unknown): Promise<Failure> {
  try {
    await call();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('no failure');
}

describe('opening an image', () => {
  test('gives its size, and the extents of its data', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, 64 * MIB);
    patchFile(path, 8 * MIB, seededBytes(1, MIB));
    patchFile(path, 9 * MIB, seededBytes(2, MIB));
    patchFile(path, 63 * MIB, seededBytes(3, MIB));
    const link = join(scratch.path, 'link');
    symlinkSync(path, link);
    await using source = await openImage(link);
    expect(source).toMatchObject({ path, kind: 'file', sizeBytes: 64 * MIB, allocatedBytes: 3 * MIB });
    expect([...source.dataExtents()]).toEqual([
      { offset: 8 * MIB, length: 2 * MIB },
      { offset: 63 * MIB, length: MIB },
    ]);
    expect(Buffer.from(source.read(9 * MIB + 5, 1000))).toEqual(
      Buffer.from(seededBytes(2, MIB).subarray(5, 1005)),
    );
  });

  test('a file that is one hole has no data', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, MIB);
    await using source = await openImage(path);
    expect([...source.dataExtents()]).toEqual([]);
    expect(source.read(0, 512)).toEqual(Buffer.alloc(512));
  });

  test.each([
    ['a missing file', 'image-missing', 'nothing-here', /no image at/],
    ['one below a file', 'image-missing', 'empty/image', /no image at/],
    ['a link to nothing', 'image-missing', 'dangling', /no image at/],
    ['a link to itself', 'image-unreadable', 'loop', /cannot be opened/],
    ['a directory', 'image-not-a-disk', 'directory', /is a directory/],
    ['a character device', 'image-not-a-disk', '/dev/zero', /neither a file nor a block device/],
    ['a FIFO', 'image-not-a-disk', 'fifo', /neither a file nor a block device/],
    ['an empty file', 'image-not-a-disk', 'empty', /0 bytes/],
    ['half a sector', 'image-not-a-disk', "it's cut", /1000 bytes, which is not a multiple of 512/],
  ])('%s is refused', async (_, code, name, message) => {
    using scratch = scratchDirectory();
    mkdirSync(join(scratch.path, 'directory'));
    writeFileSync(join(scratch.path, 'empty'), '');
    writeFileSync(join(scratch.path, "it's cut"), Buffer.alloc(1000));
    symlinkSync('nothing-here', join(scratch.path, 'dangling'));
    symlinkSync('loop', join(scratch.path, 'loop'));
    runTool('mkfifo', [join(scratch.path, 'fifo')]);
    const path = name.startsWith('/') ? name : join(scratch.path, name);
    const failure = await failureOf(() => openImage(path));
    expect(failure).toMatchObject({ code, advice: expect.any(String) });
    expect(failure.message).toMatch(message);
    expect(failure.message).toContain(path);
  });

  test('the advice for a file of half a sector works', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "it's cut");
    writeFileSync(path, Buffer.alloc(1000));
    const [, line = ''] =
      /with: (truncate .+)$/.exec((await failureOf(() => openImage(path))).advice ?? '') ?? [];
    runTool('sh', ['-c', line]);
    await using source = await openImage(path);
    expect(source.sizeBytes).toBe(1024);
  });

  test('an image that shrinks while it is read is noticed', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeGarbageFile(path, MIB);
    await using source = await openImage(path);
    truncateSync(path, MIB / 2);
    expect(source.read(0, MIB / 2)).toHaveLength(MIB / 2);
    const failure = await failureOf(() => source.read(MIB / 4, MIB / 2));
    expect(failure.code).toBe('read-failed');
    expect(failure.message).toContain(`${MIB / 2}`);
  });
});

describeUnless(process.getuid?.() === 0 ? null : 'needs root', 'an image of somebody else', () => {
  test('is refused', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeGarbageFile(path, MIB);
    chmodSync(scratch.path, 0o755);
    chmodSync(path, 0o600);
    process.seteuid?.(65534);
    try {
      expect(await failureOf(() => openImage(path))).toMatchObject({ code: 'image-unreadable' });
    } finally {
      process.seteuid?.(0);
    }
  });
});

describeUnless(loopDevicesMissing(), 'a block device', () => {
  test('is one extent of its whole size', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, 3 * MIB);
    using device = attachLoopDevice(path);
    await using source = await openImage(device.path);
    expect(source).toMatchObject({ kind: 'block-device', sizeBytes: 3 * MIB, allocatedBytes: 3 * MIB });
    expect([...source.dataExtents()]).toEqual([{ offset: 0, length: 3 * MIB }]);
  });

  test('that cannot be read fails the read, with the offset', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeGarbageFile(path, 16 * MIB);
    using device = attachLoopDevice(path);
    await using source = await openImage(device.path);
    truncateSync(path, 0);
    const failure = await failureOf(() => source.read(8 * MIB, 4096));
    expect(failure).toMatchObject({
      code: 'read-failed',
      message: expect.stringMatching(/at byte 8388608: EIO/),
    });
  });
});
