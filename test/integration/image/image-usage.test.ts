import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { findUsers } from '../../../src/image/usage/usage.ts';
import { makeSparseFile, runTool, scratchDirectory } from '../../support/images/images.ts';
import { end, startHolder } from '../../support/programs/holder.ts';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from '../../support/images/loop-device.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

/**
 * A program that locks the file in its argument for writing, prints that it did, and waits. `command`: F_SETLK or
 * F_OFD_SETLK.
 */
const locker = `
  const koffi = require('koffi');
  const { openSync } = require('node:fs');
  const fcntl = koffi.load(null).func('int fcntl(int fd, int command, ...)');
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(1, 0);
  const status = fcntl(openSync(process.argv[1], 'r+'), Number(process.argv[2]), 'void *', lock);
  console.log(status === 0 ? 'locked' : 'refused');
  setInterval(() => {}, 1000);
`;

async function startLocker(path: string, command: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', locker, path, String(command)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [answer] = (await once(child.stdout, 'data')) as [Buffer];
  expect(answer.toString()).toBe('locked\n');
  return child;
}

describe('the users of an image file', () => {
  test('a vmferry is called vmferry, not node, and only the command of its arguments is shown', async () => {
    using scratch = scratchDirectory();
    const [path, script] = [join(scratch.path, 'image'), join(scratch.path, 'vmferry.js')];
    makeSparseFile(path, MIB);
    writeFileSync(script, 'console.log(0); setInterval(() => {}, 1000);');
    for (const [argument, name] of [
      ['backup', 'vmferry backup'],
      ['\u001b[2J', 'vmferry'],
    ] as const) {
      const fd = openSync(path, 'r');
      const child = spawn('node', [script, argument, 'secret'], { stdio: ['ignore', 'pipe', 'inherit', fd] });
      closeSync(fd);
      if (child.stdout === null) throw new Error('it has no output');
      await once(child.stdout, 'data');
      try {
        const { pid } = child;
        expect(await findUsers(path)).toMatchObject([
          { pid, name, onlyReads: true, description: `is open in ${name} (process ${pid})` },
        ]);
      } finally {
        await end(child);
      }
    }
  });

  test('there are none if only this process has it open, or if it does not exist', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    expect(await findUsers(path)).toEqual([]);
    makeSparseFile(path, MIB);
    const fd = openSync(path, 'r+');
    expect(await findUsers(path)).toEqual([]);
    closeSync(fd);
  });

  test.each([
    ['to read', ['r'], true],
    ['to write', ['r+'], false],
    ['both', ['r', 'a', 'r'], false],
  ])('a process that has it open by any name: %s', async (_, modes, onlyReads) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, MIB);
    const link = join(scratch.path, 'link');
    symlinkSync(path, link);
    const child = await startHolder(path, modes);
    try {
      const { pid } = child;
      const description = `is open in sleep (process ${pid})`;
      const user = { kind: 'process', pid, name: 'sleep', onlyReads, description };
      expect(await findUsers(path)).toEqual([user]);
      expect(await findUsers(link)).toEqual([user]);
    } finally {
      await end(child);
    }
    expect(await findUsers(path)).toEqual([]);
  });

  test('a process that holds a POSIX lock on it is named once', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, MIB);
    const child = await startLocker(path, 6);
    try {
      expect(await findUsers(path)).toMatchObject([
        { kind: 'lock', pid: child.pid, name: expect.any(String) },
      ]);
    } finally {
      await end(child);
    }
    expect(await findUsers(path)).toEqual([]);
  });

  test('an open file description lock has no owner, but the process that has the file open is found', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, MIB);
    const child = await startLocker(path, 37);
    try {
      const users = await findUsers(path);
      expect(users).toMatchObject([
        { kind: 'lock', name: 'unknown' },
        { kind: 'process', pid: child.pid },
      ]);
    } finally {
      await end(child);
    }
  });
});

describeUnless(loopDevicesMissing(), 'the users of an image through a block device', () => {
  test('a loop device, and the mount of that device', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, 16 * MIB);
    runTool('mke2fs', ['-q', '-F', path]);
    {
      using device = attachLoopDevice(path);
      expect(await findUsers(path)).toMatchObject([{ kind: 'loop-device', name: device.path }]);
      expect(await findUsers(device.path)).toEqual([]);

      const directory = join(scratch.path, 'mounted here');
      mkdirSync(directory);
      using _mounted = mountDevice(device.path, directory);
      expect(await findUsers(device.path)).toMatchObject([{ kind: 'mount', name: directory }]);
    }
    expect(await findUsers(path)).toEqual([]);
  });

  test('a process that has the device open', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, MIB);
    using device = attachLoopDevice(path);
    const fd = openSync(device.path, 'r');
    const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    await once(child, 'spawn');
    closeSync(fd);
    try {
      expect(await findUsers(device.path)).toMatchObject([{ kind: 'process', pid: child.pid }]);
    } finally {
      await end(child);
    }
  });
});
