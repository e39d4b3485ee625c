import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backupHasBegun, startBackupHosts, type BackupHosts } from '../support/stores/backup-hosts.ts';
import { recordsOf, resultOf } from '../support/programs/command-records.ts';
import { runTool } from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { bootObedientGuest, type ObedientGuest } from '../support/guests/obedient-guest.ts';
import { mountingMissing, mountNew } from '../support/images/reflink-file-system.ts';
import { restoreByPython } from '../support/stores/restore-encrypted.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { guestBootCount, readGuestFile, GUEST_MEMORY_BYTES } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';

const missing =
  umlMissing() ??
  networkLabMissing() ??
  mountingMissing('xfs') ??
  toolsMissing('sftp', 'python3', 'openssl', 'zstd', 'e2fsck');

const nights = 3;

/** The backup of one night: the snapshot, and the SHA-256 of each file in the guest. */
interface Night {
  snapshot: string;
  sums: ReadonlyMap<string, string>;
}

describeUnless(missing, 'a guest that is backed up every night', () => {
  let xfs: ReturnType<typeof mountNew>;
  let world: BackupHosts;
  let guest: ObedientGuest;
  const made: Night[] = [];

  beforeAll(async () => {
    xfs = mountNew('xfs');
    world = await startBackupHosts();
    const { hosts } = world;
    guest = await bootObedientGuest({
      path: join(xfs.path, 'web.img'),
      name: 'web',
      sizeBytes: 128 * 2 ** 20,
      dataBytes: 12 * 2 ** 20,
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
    });
  });
  afterAll(async () => {
    await guest.stop();
    await world[Symbol.asyncDispose]();
    xfs[Symbol.dispose]();
  });

  /** Writes a file, changes one in place, and removes another; returns the guest's files. */
  async function liveOneDay(day: number): Promise<ReadonlyMap<string, string>> {
    const said = await guest.sh(`
      busybox dd if=/dev/urandom of=/data/day-${day} bs=64k count=8
      busybox dd if=/dev/urandom of=/data/random bs=4k count=1 seek=$((${day} * 50 + 7)) conv=notrunc
      busybox rm -f /data/day-${day - 2}
      busybox sha256sum /data/* | busybox sed 's/^/sum: /'`);
    return new Map(
      [...said.matchAll(/^sum: ([0-9a-f]{64}) {2}(\S+)$/gm)].map(([, sum = '', path = '']) => [path, sum]),
    );
  }

  test('keeps running, and only changes are sent', async () => {
    const { hosts } = world;
    await hosts.lab.rate('40mbit');
    const sums = await liveOneDay(0);
    const args = ['backup', 'web', '--to', world.store, '--encrypt', ...world.access, '--json'];
    const first = hosts.start(args);
    await first.printed(backupHasBegun);
    await guest.sh('echo it does what it is told >/meanwhile');
    expect(first.child.exitCode).toBe(null);
    const ended = await first.ended;
    await hosts.lab.rate(null);
    const [firstNight] = resultOf<{ guests: { snapshot: string; newBytes: number }[] }>(ended).guests;
    expect(recordsOf(ended).filter(({ type }) => type === 'warning')).toEqual([]);
    expect(firstNight).toMatchObject({ guest: 'web', consistency: 'frozen' });
    made.push({ snapshot: firstNight?.snapshot ?? '', sums });

    for (let night = 1; night < nights; night++) {
      const then = await liveOneDay(night);
      const { snapshot, consistency, newBytes, disks } = await world.backup('web');
      // The base of the night before shows what need not be read.
      const [disk] = disks;
      expect(disk?.unchangedBytes).toBeGreaterThan(2 * (disk?.readBytes ?? 0));
      expect(consistency).toBe('frozen');
      expect(newBytes).toBeLessThan((firstNight?.newBytes ?? 0) / 4);
      made.push({ snapshot, sums: then });
    }
    expect(readdirSync(xfs.path).toSorted()).toEqual([
      expect.stringMatching(`^\\.web\\.img\\.vmferry-.*${made.at(-1)?.snapshot}.*\\.base$`),
      'web.img',
    ]);
    // Not even the name of its disk can be read there.
    const files = readdirSync(world.storeDirectory, { recursive: true, withFileTypes: true });
    for (const file of files.filter((entry) => entry.isFile()))
      expect(readFileSync(join(file.parentPath, file.name)).includes('web.img')).toBe(false);
  });

  test('is listed, verified, compared and pruned', async () => {
    const { hosts, store, access } = world;
    expect(await world.snapshots('web')).toEqual(made.map(({ snapshot }) => snapshot));
    expect(await world.damage()).toEqual([]);
    const listed = await hosts.run(['list', store, ...access]);
    expect(listed.stdout).not.toContain('never');

    const [first, second] = made.map(({ snapshot }) => `web@${snapshot}`);
    const diff = await hosts.run(['diff', store, first ?? '', second ?? '', ...access, '--json']);
    const [disk] = resultOf<{ disks: { changedBytes: number; addedBytes: number }[] }>(diff).disks;
    expect((disk?.changedBytes ?? 0) + (disk?.addedBytes ?? 0)).toBeGreaterThan(8 * 65_536);

    const prune = ['prune', store, '--keep-last', '2', ...access, '--json'];
    expect(resultOf(await hosts.run(prune))).toMatchObject({ guests: [{ removed: [made[0]?.snapshot] }] });
    expect(await world.snapshots('web')).toEqual(made.slice(1).map(({ snapshot }) => snapshot));
    expect(await world.damage()).toEqual([]);
  });

  test('is backed up and pruned by the line of its schedule', async () => {
    const { hosts, account, access } = world;
    const store = `sftp://${account.login}:${account.server.port}/./backups/scheduled`;
    expect(await hosts.run(['init', store, '--encrypt', ...access])).toMatchObject({ exitStatus: 0 });
    expect((await hosts.run(['backup', 'web', '--to', store, ...access])).stderr).not.toContain('error');
    const rules = ['--at', '03:00', '--keep-last', '1'];
    const printed = await hosts.run(['schedule', 'web', '--to', store, ...rules, ...access, '--print']);
    const valuesOf = (name: string) =>
      [...printed.stdout.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
    expect(valuesOf('ExecStart')).toHaveLength(2);
    for (const line of valuesOf('ExecStart')) {
      const words = [
        'env',
        '-i',
        `PATH=${process.env['PATH']}`,
        ...valuesOf('Environment'),
        ...line.split(' '),
      ];
      const ended = await hosts.lab.runOn('old', words);
      if (ended.exitStatus !== 0) throw new Error(`${line}: ${ended.stderr}`);
    }
    const { guests } = resultOf<{ guests: { snapshots: unknown[] }[] }>(
      await hosts.run(['list', store, ...access, '--json']),
    );
    expect(guests.map(({ snapshots }) => snapshots.length)).toEqual([1]);
  });

  test('boots with the same data on a machine that has never seen it', async () => {
    const { hosts } = world;
    await guest.stop();
    const [older, newest] = made.slice(-2);
    const restored = await world.restore('web@latest', `${hosts.new.images}/`, '--start');
    expect(JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout)).toMatchObject({
      guests: [{ name: 'web', state: 'running', memoryBytes: GUEST_MEMORY_BYTES }],
    });
    expect((await hosts.runOnNew(['halt', 'web'])).exitStatus).toBe(0);
    expect(await guestBootCount(restored.target)).toBe(2);
    await expectFiles(restored.target, newest);

    const before = await world.restore(`web@${older?.snapshot}`, join(hosts.new.images, 'older.img'));
    expect(await guestBootCount(before.target)).toBe(1);
    await expectFiles(before.target, older);
  });

  test('is restored without vmferry, byte for byte', async () => {
    const { hosts, account, passphraseFile } = world;
    const copy = join(hosts.new.home, 'copy');
    const out = join(hosts.new.home, 'out');
    mkdirSync(out);
    const from = `${account.login}:backups/vmferry`;
    const sftp = ['sftp', '-q', '-r', '-F', account.server.sshConfigFile, from, copy];
    expect(await hosts.lab.runOn('new', sftp)).toMatchObject({ exitStatus: 0 });
    const { snapshot } = made.at(-1) ?? { snapshot: '' };
    expect(restoreByPython(copy, 'web', snapshot, passphraseFile, out)).toMatchObject({ status: 0 });
    const restored = await world.restore(`web@${snapshot}`, join(hosts.new.images, 'same.img'));
    expect(await sha256(join(out, 'web.img'))).toBe(await sha256(restored.target));
  });
});

/** Checks that the image has exactly the files of that night, and a sound file system. */
async function expectFiles(image: string, night: Night | undefined): Promise<void> {
  if (night === undefined) throw new Error('there was no such night');
  runTool('e2fsck', ['-fn', image]);
  const names = runTool('debugfs', ['-R', 'ls -p /data', image])
    .split('\n')
    .map((line) => line.split('/')[5] ?? '')
    .filter((name) => !['', '.', '..'].includes(name));
  const found = new Map<string, string>();
  for (const name of names) {
    const content = await readGuestFile(image, `/data/${name}`);
    found.set(`/data/${name}`, createHash('sha256').update(content).digest('hex'));
  }
  expect(found).toEqual(night.sums);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}
