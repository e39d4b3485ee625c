import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { poll } from '../../../src/pipeline/polling.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { restoreWhole } from '../../support/stores/restoring.ts';
import { failureOf } from '../../support/failures.ts';
import { convert, makeRawDisk, viewsMissing, viewsOf } from '../../support/images/containers.ts';
import { runTool } from '../../support/images/images.ts';
import { programFile } from '../../support/programs/command-line.ts';
import { describeUnless } from '../../support/programs/tools.ts';

let world: BackupWorld;
let raw: string;
let back: string;

beforeEach(() => {
  world = new BackupWorld();
  raw = join(world.path, 'disk');
  makeRawDisk(raw);
  back = join(world.path, 'back');
  mkdirSync(back);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  expect(viewsOf(process.pid)).toEqual([]);
});

function expectSame(path: string, format: 'raw' | 'qcow2'): void {
  runTool('qemu-img', ['compare', '-f', 'raw', '-F', format, raw, path]);
  if (format === 'qcow2') runTool('qemu-img', ['check', '-q', '-f', 'qcow2', path]);
}

describeUnless(viewsMissing(), 'a disk of any format', () => {
  test('is backed up as its bytes, and restored as qcow2, or as what is wanted', async () => {
    const image = join(world.path, 'web.vmdk');
    convert(raw, image, 'vmdk');
    const { guests } = await world.backup(image);
    const guest = guests[0]?.guest ?? '';
    await restoreWhole(world, guest, `${back}/`);
    expect(readdirSync(back)).toEqual(['web.qcow2']);
    expectSame(join(back, 'web.qcow2'), 'qcow2');

    await restoreWhole(world, guest, `${back}/`, { format: 'raw' });
    expectSame(join(back, 'web.img'), 'raw');

    await restoreWhole(world, guest, join(back, 'named.qcow2'));
    expectSame(join(back, 'named.qcow2'), 'qcow2');
    await restoreWhole(world, guest, join(back, 'named.img'));
    expectSame(join(back, 'named.img'), 'raw');
    const failure = await failureOf(() => restoreWhole(world, guest, join(back, 'named.vdi')));
    expect(failure).toMatchObject({ code: 'usage' });

    // The documented way without vmferry gives the raw disk, under a name that says so.
    const [id = ''] = guests.map(({ snapshot }) => snapshot);
    const directory = world.restoreByScript(guest, id);
    expect(readdirSync(directory)).toContain('web.img');
    expectSame(join(directory, 'web.img'), 'raw');
  });

  test('is the same as a raw one for the store: nothing is sent twice', async () => {
    const image = join(world.path, 'web.qcow2');
    convert(raw, image, 'qcow2');
    await world.backup(raw, { name: 'web' });
    const { guests } = await world.backup(image, { name: 'web', adopt: true });
    expect(guests[0]).toMatchObject({ newBytes: expect.any(Number) });
    const [backedUp] = guests;
    expect(backedUp?.newBytes).toBeLessThan(64 * 1024);
  });

  test('a raw one becomes qcow2 where that is wanted, and is overwritten in place later', async () => {
    const { guests } = await world.backup(raw);
    const guest = guests[0]?.guest ?? '';
    await restoreWhole(world, guest, `${back}/`, { format: 'qcow2' });
    const path = join(back, 'disk.qcow2');
    expectSame(path, 'qcow2');
    runTool('qemu-io', ['-f', 'qcow2', '-c', 'write -P 9 2M 1M', path]);
    const { disks } = await restoreWhole(world, guest, path, { inPlace: true });
    expect(disks[0]?.writtenBytes).toBeLessThanOrEqual(2 * 2 ** 20);
    expectSame(path, 'qcow2');
  });

  test('an image that was backed up byte for byte, header and all, is restored so', async () => {
    const image = join(world.path, 'old.qcow2');
    convert(raw, image, 'qcow2');
    const { guests } = await world.backup(image, { imageFormat: 'raw' });
    await restoreWhole(world, guests[0]?.guest ?? '', join(back, 'again.qcow2'));
    expect(readFileSync(join(back, 'again.qcow2')).equals(readFileSync(image))).toBe(true);
  });

  test('a restore that is killed leaves only .partial, and the next one goes on from there', async () => {
    const { guests } = await world.backup(raw);
    const guest = guests[0]?.guest ?? '';
    const path = join(back, 'disk.qcow2');
    const args = ['restore', world.storePath, guest, '--to', path];
    const child = spawn(process.execPath, [programFile, ...args], {
      stdio: 'ignore',
      env: { ...process.env, VMFERRY_STATE_DIR: join(world.path, 'state') },
    });
    const pid = child.pid ?? -1;
    const ended = new Promise((resolve) => child.once('close', resolve));
    const patience = { timeoutMs: 30_000, intervalMs: 5, signal: new AbortController().signal };
    await poll(() => viewsOf(pid).length === 2 || child.exitCode !== null, patience);
    child.kill('SIGKILL');
    await ended;
    expect(await poll(() => viewsOf(pid).length === 0, patience)).toBe(true);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(back).toSorted()).toEqual(['disk.qcow2.partial', 'disk.qcow2.partial.vmferry']);
    await restoreWhole(world, guest, path);
    expectSame(path, 'qcow2');
    expect(readdirSync(back)).toEqual(['disk.qcow2']);
  });
});
