import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { totalLength } from '../../../../src/extent/extents.ts';
import type { ImageFormat } from '../../../../src/image/formats/image-format.ts';
import { openImage } from '../../../../src/image/open-image.ts';
import { findUsers } from '../../../../src/image/usage/usage.ts';
import { poll } from '../../../../src/pipeline/polling.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';
import {
  convert,
  daemonsOf,
  makeRawDisk,
  viewsMissing,
  viewsOf,
} from '../../../support/images/containers.ts';
import { makeSparseFile, runTool, scratchDirectory } from '../../../support/images/images.ts';
import { describeUnless } from '../../../support/programs/tools.ts';

const MIB = 2 ** 20;
const SIZE = 24 * MIB;
const patience = { timeoutMs: 20_000, intervalMs: 20, signal: new AbortController().signal };

describeUnless(viewsMissing(), 'an image that is not raw', () => {
  const kinds: [name: string, format: ImageFormat, options: string[], qemu?: string][] = [
    ['a.qcow2', 'qcow2', []],
    ['old.qcow2', 'qcow2', ['compat=0.10']],
    ['zstd.qcow2', 'qcow2', ['compression_type=zstd,extended_l2=on']],
    ['a.vmdk', 'vmdk', []],
    ['stream.vmdk', 'vmdk', ['subformat=streamOptimized']],
    ['a.vdi', 'vdi', []],
    ['fixed.vdi', 'vdi', ['static=on']],
    ['a.vhd', 'vpc', ['force_size=on']],
    ['fixed.vhd', 'vpc', ['subformat=fixed,force_size=on']],
    ['a.vhdx', 'vhdx', []],
  ];

  test.each(kinds)('%s is read as its disk, with its holes', async (name, format, options) => {
    using scratch = scratchDirectory();
    const [raw, path] = [join(scratch.path, 'raw'), join(scratch.path, name)];
    makeRawDisk(raw);
    convert(raw, path, format, options);
    {
      await using image = await openImage(path, { format });
      const { backingFiles, snapshotCount } = image.container ?? {};
      expect({ ...image, backingFiles, snapshotCount }).toMatchObject({
        path,
        format,
        sizeBytes: SIZE,
        kind: 'file',
        backingFiles: [],
        snapshotCount: 0,
      });
      expect(Buffer.from(image.read(0, SIZE)).equals(readFileSync(raw))).toBe(true);
      const dataBytes = totalLength(image.dataExtents());
      // Fixed images have no holes, and QEMU tells none of VHDX.
      if (/^(fixed|a\.vhdx)/.test(name)) expect(dataBytes).toBeLessThanOrEqual(SIZE);
      else expect(dataBytes).toBeLessThan(12 * MIB);
    }
    expect(viewsOf(process.pid)).toEqual([]);
  });

  test('a VHD may show a larger disk than it states', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.vhd');
    runTool('qemu-img', ['create', '-q', '-f', 'vpc', path, '10000K']);
    await using image = await openImage(path, { format: 'vpc' });
    expect(image.sizeBytes).toBeGreaterThan(10_000 * 1024);
    expect(image.sizeBytes % 512).toBe(0);
  });

  test('a chain of two backing files is followed, and its snapshots are told', async () => {
    using scratch = scratchDirectory();
    const at = (name: string) => join(scratch.path, name);
    makeRawDisk(at('base.img'));
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', 'base.img', at('middle.qcow2')]);
    runTool('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 1M 1M', at('middle.qcow2')]);
    const overlay = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', at('middle.qcow2'), at('top.qcow2')];
    runTool('qemu-img', overlay);
    runTool('qemu-io', ['-f', 'qcow2', '-c', 'write -P 8 3M 64k', at('top.qcow2')]);
    runTool('qemu-img', ['snapshot', '-c', 'before the upgrade', at('top.qcow2')]);
    runTool('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', at('top.qcow2'), at('expected.img')]);
    await using image = await openImage(at('top.qcow2'), { format: 'qcow2' });
    expect(image.container).toEqual({
      backingFiles: [
        { path: at('middle.qcow2'), format: 'qcow2' },
        { path: at('base.img'), format: 'raw' },
      ],
      snapshots: ['before the upgrade'],
      snapshotCount: 1,
      statedBytes: SIZE,
    });
    expect(Buffer.from(image.read(0, SIZE)).equals(readFileSync(at('expected.img')))).toBe(true);
  });

  test('this process and its view are no users of the image', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    await using image = await openImage(path, { format: 'qcow2' });
    expect(image.sizeBytes).toBe(MIB);
    expect(await findUsers(path)).toEqual([]);
  });

  test('looking at an image that is in use leaves no lock that counts, and does not hide a later reader', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    await using look = await openImage(path, { format: 'qcow2', isInUse: true });
    expect(await findUsers(path)).toEqual([]);
    // A guest could be started now.
    runTool('qemu-io', ['-f', 'qcow2', '-c', 'write 0 64k', path]);
    expect(look.sizeBytes).toBe(MIB);
  });

  test('an image that another QEMU writes to is refused, unless it is only looked at', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    const nodes = [
      `driver=file,node-name=file,filename=${path}`,
      'driver=qcow2,node-name=disk,file=file',
    ].flatMap((node) => ['--blockdev', node]);
    const args = [...nodes, '--chardev', 'stdio,id=m', '--monitor', 'chardev=m'];
    const other = spawn('qemu-storage-daemon', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(other.stdout, 'data');
      expect(await failureOf(() => openImage(path, { format: 'qcow2' }))).toMatchObject({
        code: 'image-in-use',
        message: `${path} is in use: another process has locked it.`,
      });
      expect(viewsOf(process.pid)).toEqual([]);
      await using image = await openImage(path, { format: 'qcow2', isInUse: true });
      expect(image.sizeBytes).toBe(MIB);
      // Our own view hides neither the other program nor its lock.
      expect(await findUsers(path)).toMatchObject([
        { kind: 'lock', onlyReads: false },
        { pid: other.pid, onlyReads: false },
      ]);
    } finally {
      other.kill();
      await once(other, 'close');
    }
  });

  test('a vmferry that is killed leaves no daemon, no mount and no directory', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    const script = `
      import { openImage } from '${join(process.cwd(), 'dist/image/open-image.js')}';
      const image = await openImage(process.argv[1], { format: 'qcow2' });
      console.log(image.sizeBytes);
      setInterval(() => image.read(0, 512), 1000);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = child.pid ?? -1;
    try {
      const [size] = (await once(child.stdout, 'data')) as [Buffer];
      expect(size.toString()).toBe(`${MIB}\n`);
      expect(viewsOf(pid)).toHaveLength(2);
      expect(await findUsers(path)).toMatchObject([
        { kind: 'lock', onlyReads: true },
        { name: 'qemu-storage-da', onlyReads: true },
      ]);
    } finally {
      child.kill('SIGKILL');
    }
    await once(child, 'close');
    expect(await poll(() => viewsOf(pid).length === 0, patience)).toBe(true);
    expect(await findUsers(path)).toEqual([]);
  });

  test('a daemon that is killed is a read error, and leaves nothing', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    {
      await using image = await openImage(path, { format: 'qcow2' });
      const started = daemonsOf(process.pid);
      expect(started).toHaveLength(1);
      for (const pid of started) process.kill(pid, 'SIGKILL');
      await poll(() => daemonsOf(process.pid).length === 0, patience);
      expect(await codeOf(() => image.read(0, 512))).toBe('read-failed');
    }
    expect(viewsOf(process.pid)).toEqual([]);
  });

  test('without qemu-storage-daemon the package is named', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    const search = process.env['PATH'];
    process.env['PATH'] = scratch.path;
    try {
      const failure = await failureOf(() => openImage(path, { format: 'qcow2' }));
      expect(failure.code).toBe('program-missing');
      expect(failure.advice).toContain('qemu-system-common');
    } finally {
      process.env['PATH'] = search;
    }
    expect(viewsOf(process.pid)).toEqual([]);
  });
});

describe('the format of an image', () => {
  test('is never taken from its content', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'disk.img');
    makeSparseFile(path, MIB);
    await using image = await openImage(path);
    expect(image).toMatchObject({ format: 'raw', sizeBytes: MIB });
  });
});
