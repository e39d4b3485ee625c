import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import type { ViewingDriver } from '../../src/guest/guest-driver.ts';
import { openDirectoryStore } from '../../src/store/directory/directory-store.ts';
import { IdleQemu } from '../support/guests/idle-qemu.ts';
import {
  filesInExt,
  imageTools,
  makeExtImage,
  patchFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { seededRandom, testSeed } from '../support/seeded-random.ts';
import { BackupWorld } from '../support/stores/backup-world.ts';
import { FaultyStore } from '../support/stores/faulty-store.ts';

const MIB = 2 ** 20;
const CHUNK = 65_536;
/** Unchanged chunks that are read as a sample. */
const SAMPLE_BYTES = 64 * CHUNK;
const missing = toolsMissing('qemu-system-x86_64', 'qemu-img', ...imageTools);

describeUnless(missing, 'the second backup of a running QEMU', () => {
  const scratch = scratchDirectory();
  const variant = { name: 'small', sizeMib: 24, options: ['-t', 'ext4', '-b', '1024'] };
  const pristine = join(scratch.path, 'pristine.img');
  let directories = 0;
  let image: string;
  let environment: NodeJS.ProcessEnv;
  let driver: ReturnType<typeof createQemuDriver>;
  let qemu: IdleQemu;
  let world: BackupWorld;

  beforeAll(() => makeExtImage(pristine, variant));
  afterAll(() => scratch[Symbol.dispose]());
  beforeEach(async () => {
    const directory = join(scratch.path, String(++directories));
    mkdirSync(join(directory, 'run'), { recursive: true });
    image = join(directory, 'disk.img');
    copyFileSync(pristine, image);
    environment = { ...process.env, XDG_RUNTIME_DIR: join(directory, 'run'), VMFERRY_MACHINE: directory };
    qemu = await IdleQemu.start('web', image, environment);
    world = new BackupWorld();
    driver = createQemuDriver(environment);
    world.dependencies.drivers = [driver];
  });
  afterEach(async () => {
    await qemu[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  async function backUp(options: Parameters<BackupWorld['backup']>[1] = {}) {
    const { guests } = await world.backup('web', options);
    const [disk] = guests[0]?.disks ?? [];
    if (disk === undefined) throw new Error('there is no snapshot');
    return { ...disk, snapshot: guests[0]?.snapshot ?? '' };
  }

  /** Makes a backup, and compares its fingerprint with that of reading all of the same disk. */
  async function soundBackup() {
    const disk = await backUp();
    const copy = join(world.path, 'copy.img');
    copyFileSync(image, copy);
    const whole = await world.backup(copy, { keepClones: false });
    expect(whole.guests[0]?.disks[0]?.unchangedBytes).toBe(0);
    expect(disk.fingerprint).toBe(whole.guests[0]?.disks[0]?.fingerprint);
    return disk;
  }

  /** Changes the file system as debugfs does, and writes what differs through QEMU. */
  async function change(...commands: readonly string[]): Promise<void> {
    const wanted = join(world.path, 'wanted.img');
    copyFileSync(image, wanted);
    runTool('debugfs', ['-w', '-f', '-', wanted], `${commands.join('\n')}\nquit\n`);
    runTool('e2fsck', ['-fn', wanted]);
    await qemu.writeLike(wanted);
  }

  function file(name: string, seed: number, length: number): string {
    const path = join(world.path, name);
    writeFileSync(path, seededBytes(seed, length));
    return path;
  }

  const doubts = () => world.warnings.filter((message) => message.includes('no change'));
  const bitmaps = async () => {
    const nodes = (await qemu.execute('query-named-block-nodes', { flat: true })) as {
      'dirty-bitmaps'?: { name: string }[];
    }[];
    return nodes.flatMap((node) => node['dirty-bitmaps'] ?? []).map(({ name }) => name);
  };

  test('holds what the disk holds after any changes, and reads little', async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const first = await soundBackup();
    expect(first.unchangedBytes).toBe(0);
    expect((await soundBackup()).readBytes).toBeLessThanOrEqual(SAMPLE_BYTES);
    let unchangedBytes = 0;
    for (let round = 0; round < 4; round++) {
      const left = [...filesInExt(image).keys()].filter((name) => !name.includes('lost+found'));
      const commands = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, index) => {
        const victim = left.splice(Math.floor(random() * left.length), 1)[0];
        // What a removed file had is free now, but not written. The next file may get some of it.
        if (random() < 0.6 && victim !== undefined) return `rm ${victim}`;
        const name = `new-${round}-${index}`;
        return `write ${file(name, seed + round, Math.ceil(random() * 400_000))} /${name}`;
      });
      await change(...commands);
      const made = await soundBackup().catch((cause: unknown) => {
        throw new Error(`round ${round} of VMFERRY_TEST_SEED=${seed}: ${commands.join(', ')}`, { cause });
      });
      unchangedBytes += made.unchangedBytes;
      expect(await bitmaps()).toHaveLength(1);
    }
    expect(unchangedBytes).toBeGreaterThan(0);
    expect(doubts()).toEqual([]);
  });

  test('reads all when it cannot know what has changed, and the next one does not', async () => {
    const { snapshot } = await backUp();
    // Another store knows nothing of it, and has a record of its own.
    await using other = new BackupWorld();
    other.dependencies.drivers = world.dependencies.drivers;
    expect((await other.backup('web')).guests[0]?.disks[0]?.unchangedBytes).toBe(0);
    expect(await bitmaps()).toHaveLength(2);
    expect((await backUp()).unchangedBytes).toBeGreaterThan(0);

    expect((await backUp({ everyBlock: true })).unchangedBytes).toBe(0);
    expect((await backUp()).unchangedBytes).toBeGreaterThan(0);

    // QEMU has one NBD server.
    const path = join(world.path, 'nbd.sock');
    await qemu.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
    expect((await backUp()).unchangedBytes).toBe(0);
    await qemu.execute('nbd-server-stop');
    expect((await backUp()).unchangedBytes).toBeGreaterThan(0);

    // The note is damaged.
    const notes = join(world.path, 'recordings');
    const [note = ''] = readdirSync(notes);
    const text = readFileSync(join(notes, note), 'utf8');
    writeFileSync(join(notes, note), text.replace('"sizeBytes": 2', '"sizeBytes": 3'));
    expect(readFileSync(join(notes, note), 'utf8')).not.toBe(text);
    expect((await backUp()).unchangedBytes).toBe(0);
    expect((await backUp()).unchangedBytes).toBeGreaterThan(0);

    // The snapshots are gone from the store.
    const manifests = runTool('find', [world.storePath, '-path', '*web*', '-name', '2026*'])
      .trim()
      .split('\n');
    expect(manifests.join()).toContain(snapshot);
    for (const manifest of manifests) rmSync(manifest, { recursive: true });
    expect((await backUp()).unchangedBytes).toBe(0);
    expect((await soundBackup()).unchangedBytes).toBeGreaterThan(0);
    expect(doubts()).toEqual([]);
    expect(await bitmaps()).toHaveLength(2);
  });

  test('reads all of a disk that has another size, and of one whose QEMU was started again', async () => {
    await backUp();
    await qemu.execute('block_resize', { 'node-name': 'disk0', size: (variant.sizeMib + 1) * MIB });
    expect((await backUp()).unchangedBytes).toBe(0);
    expect((await backUp()).unchangedBytes).toBeGreaterThan(0);
    await qemu[Symbol.asyncDispose]();
    qemu = await IdleQemu.start('web', image, environment);
    expect((await backUp()).unchangedBytes).toBe(0);
    expect((await soundBackup()).unchangedBytes).toBeGreaterThan(0);
  });

  test('compares with the last snapshot when the backups since then have failed', async () => {
    await soundBackup();
    const before = await bitmaps();
    await change(`write ${file('one', 1, 300_000)} /one`);
    const store = new FaultyStore(openDirectoryStore(world.storePath), 1);
    const failing: ViewingDriver = {
      ...driver,
      async view(...args) {
        const viewed = await driver.view(...args);
        store.faults = { fail: 1 };
        return viewed;
      },
    };
    world.dependencies.drivers = [failing];
    await expect(world.backup('web', { store })).rejects.toThrow();
    expect(store.log).not.toEqual([]);
    world.dependencies.drivers = [driver];
    await change(`write ${file('two', 2, 300_000)} /two`);
    expect(await bitmaps()).toEqual(before);
    const made = await soundBackup();
    expect(made.unchangedBytes).toBeGreaterThan(0);
    const after = await bitmaps();
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
  });

  test('reads all, and says so, when something else has written to the disk', async () => {
    const { readBytes } = await backUp();
    // Behind the back of QEMU, into most of what is in use.
    const used = readFileSync(image);
    for (let at = 2 * MIB; at < used.length; at += CHUNK)
      if (used.readUInt32LE(at + 4096) !== 0) patchFile(image, at + 4096, seededBytes(at, 512));
    const made = await soundBackup();
    expect(doubts()).toHaveLength(1);
    expect(made.unchangedBytes).toBe(0);
    expect(made.readBytes).toBeGreaterThanOrEqual(readBytes);
    expect((await soundBackup()).unchangedBytes).toBeGreaterThan(0);
  });
});
