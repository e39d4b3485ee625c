import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { makeOva, ovaTools } from '../../support/archives/ova.ts';
import { member, tarOf } from '../../support/archives/tar-members.ts';
import { failureOf } from '../../support/failures.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { runTool, seededBytes } from '../../support/images/images.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';
import { startVmferry, vmferry } from '../../support/programs/command-line.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';

const elsewhere = { host: 'old.example', id: 'a'.repeat(32) };

let exporting: ExchangeWorld;
let world: BackupWorld;
let image: string;
/** Where the archives are. */
let directory: string;

beforeEach(() => {
  exporting = new ExchangeWorld();
  world = new BackupWorld();
  exporting.drivers = [fakeDriver()];
  directory = join(world.path, 'archives');
  mkdirSync(directory);
  image = join(exporting.path, 'web.img');
  writeSparseImage(image, {
    sectors: 16 * 2048,
    pieces: [
      { sector: 0, sectors: 40, kind: 'noise' },
      { sector: 9000, sectors: 3000, kind: 'text' },
    ],
  });
});
afterEach(async () => {
  await exporting[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** Exports the guest web, which does not run and has these images, and returns the archive. */
async function archiveOf(name: string, images: readonly string[] = [image]): Promise<string> {
  const { records } = exporting.dependencies();
  await records.write({ definition: fakeDefinition('web', images), state: 'halted' });
  const output = join(directory, name);
  await exporting.export('web', { output });
  return output;
}

/** Compresses the file to another one. */
function bzip2(file: string, to: string): void {
  runTool('bzip2', ['-k', file]);
  renameSync(`${file}.bz2`, to);
}

async function latest(guest: string) {
  const { signal } = world.context();
  const folder = (await world.session()).folder(guest);
  const ids = await folder.snapshotIds(signal);
  return folder.readSnapshot(ids.at(-1) ?? '', signal);
}

describeWithTools('a backup of', ['zstd', 'bzip2', 'gzip', 'tar', ...ovaTools], () => {
  test('an archive has the guest that the archive describes, and leaves nothing behind', async () => {
    const second = join(exporting.path, 'swap.img');
    writeFileSync(second, seededBytes(3, 65_536));
    const archive = await archiveOf('anything', [image, second]);
    const { guests } = await world.backup(archive);
    expect(guests).toMatchObject([{ guest: 'web', disks: [{ name: 'web.img' }, { name: 'swap.img' }] }]);
    const snapshot = await latest('web');
    const { createdAt, host } = JSON.parse(
      runTool('tar', ['--zstd', '-xOf', archive, 'manifest.json']).toString(),
    ) as { createdAt: string; host: string };
    expect(snapshot).toMatchObject({
      createdAt,
      host,
      consistency: 'halted',
      definition: fakeDefinition('web', [image, second]),
    });
    const restored = world.restoreByScript('web', snapshot.id);
    expect(await fileSha256(join(restored, 'web.img'))).toBe(await fileSha256(image));
    expect(await fileSha256(join(restored, 'swap.img'))).toBe(await fileSha256(second));
    expect(readdirSync(directory)).toEqual(['anything']);
  });

  test('a newer archive continues the snapshots, and sends only what changed', async () => {
    await world.backup(await archiveOf('web-1.tar.zst'));
    const first = await latest('web');
    const changed = readFileSync(image);
    changed.set(seededBytes(9, 4096), 8960 * 512);
    writeFileSync(image, changed);
    const { guests } = await world.backup(await archiveOf('web-2.tar.zst'));
    expect(guests[0]?.newPlainBytes).toBe(65_536);
    expect((await latest('web')).id).not.toBe(first.id);
  });

  test('an archive continues the snapshots of the guest itself, and no others of that name', async () => {
    const archive = await archiveOf('web.tar.zst');
    const { records } = world.dependencies;
    await records.write({ definition: fakeDefinition('web', [image]), state: 'halted' });
    world.dependencies.drivers = [fakeDriver()];
    await world.backup('web');
    const { guests } = await world.backup(archive);
    expect(guests[0]?.newPlainBytes).toBe(0);
    world.machine = elsewhere;
    const other = join(world.path, 'other.img');
    copyFileSync(image, other);
    await records.write({ definition: fakeDefinition('web', [other]), state: 'halted' });
    expect(await failureOf(() => world.backup('web'))).toMatchObject({ code: 'target-exists' });
  });

  test('a compressed image is that of an image that no guest uses, under its own name or another', async () => {
    const packed = join(directory, 'debian-root.bz2');
    bzip2(image, packed);
    expect((await world.backup(packed)).guests).toMatchObject([{ guest: 'debian-root' }]);
    const snapshot = await latest('debian-root');
    expect(snapshot.definition).toMatchObject({
      driver: 'offline',
      disks: [{ device: 'disk0', path: join(directory, 'debian-root') }],
    });
    const restored = world.restoreByScript('debian-root', snapshot.id);
    expect(await fileSha256(join(restored, 'debian-root'))).toBe(await fileSha256(image));
    expect((await world.backup(packed)).guests).toMatchObject([{ newPlainBytes: 0 }]);
    expect((await world.backup(packed, { name: 'debian' })).guests).toMatchObject([{ guest: 'debian' }]);
    expect(readdirSync(directory)).toEqual(['debian-root.bz2']);
  });

  test('an OVA has its disk as that of an image that no guest uses, and leaves nothing behind', async () => {
    const ova = join(directory, 'web.ova');
    makeOva(ova, image);
    const { guests } = await world.backup(ova);
    expect(guests).toMatchObject([{ guest: 'web', disks: [{ name: 'web-disk1.img' }] }]);
    const snapshot = await latest('web');
    expect(snapshot.definition).toMatchObject({
      driver: 'offline',
      disks: [{ device: 'disk0', path: join(directory, 'web-disk1.img') }],
    });
    const restored = world.restoreByScript('web', snapshot.id);
    expect(await fileSha256(join(restored, 'web-disk1.img'))).toBe(await fileSha256(image));
    expect((await world.backup(ova)).guests).toMatchObject([{ newPlainBytes: 0 }]);
    expect(readdirSync(directory)).toEqual(['web.ova']);
  });

  test('an image that begins like an archive is an image if its guest is known, or its format is given', async () => {
    const path = join(directory, 'odd.img');
    bzip2(image, path);
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(65_536)]).subarray(0, 65_536));
    expect((await world.backup(path, { imageFormat: 'raw' })).guests).toMatchObject([{ guest: 'odd.img' }]);
    await world.dependencies.records.write({ definition: fakeDefinition('odd', [path]), state: 'halted' });
    expect((await world.backup(path)).guests).toMatchObject([{ guest: 'odd.img', newPlainBytes: 0 }]);
  });

  test('an archive that is cut off fails, and leaves neither a snapshot nor unpacked disks', async () => {
    const archive = await archiveOf('web.tar.zst');
    writeFileSync(archive, readFileSync(archive).subarray(0, statSync(archive).size - 3000));
    expect(await failureOf(() => world.backup(archive))).toMatchObject({ code: 'archive-damaged' });
    expect(readdirSync(directory)).toEqual(['web.tar.zst']);
    expect(await (await world.session()).guests(world.context().signal)).toEqual([]);
  });

  test('an archive without room for its disks is not unpacked: another directory can be named', async () => {
    const path = join(directory, 'huge.tar');
    const disk = { name: 'web.img', device: 'ubd0', sizeBytes: 2 ** 51, dataBytes: 2 ** 51 };
    const manifest = {
      format: 'vmferry-archive',
      version: 1,
      createdBy: 'test',
      createdAt: '2026-11-29T12:00:00.000Z',
      guest: 'web',
      consistency: 'halted',
      definition: null,
      disks: [disk],
    };
    writeFileSync(path, tarOf(member('manifest.json', Buffer.from(JSON.stringify(manifest)))));
    const failure = await failureOf(() => world.backup(path));
    expect(failure).toMatchObject({ code: 'target-full' });
    expect(failure.advice).toContain('--scratch DIRECTORY');
    expect(readdirSync(directory)).toEqual(['huge.tar']);
    const scratch = join(world.path, 'nowhere');
    expect(await failureOf(() => world.backup(path, { scratch }))).toMatchObject({ code: 'target-missing' });
  });

  test('an archive ends at Ctrl-C, and leaves nothing behind', async () => {
    const packed = join(directory, 'large.gz');
    const large = join(exporting.path, 'large.img');
    writeFileSync(large, randomBytes(32 * 2 ** 20));
    runTool('gzip', ['-1', large]);
    renameSync(`${large}.gz`, packed);
    const scratch = join(world.path, 'scratch');
    mkdirSync(scratch);
    const environment = { VMFERRY_STATE_DIR: join(world.path, 'state') };
    await vmferry(['init', world.storePath, '--no-encrypt'], environment);
    const args = ['backup', packed, '--to', world.storePath, '--scratch', scratch];
    const { child, ended } = startVmferry(args, environment);
    child.stdin.end();
    while (readdirSync(scratch).length === 0) await delay(5);
    const [name = ''] = readdirSync(scratch);
    expect(statSync(join(scratch, name)).mode & 0o777).toBe(0o700);
    child.kill('SIGINT');
    expect((await ended).exitStatus).toBe(130);
    expect(readdirSync(scratch)).toEqual([]);
    expect(readdirSync(dirname(packed))).toEqual(['large.gz']);
  });
});
