import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationReport } from '../../src/operations/migrate/migration-report.ts';
import { errorOf, problemsOf, resultOf } from '../support/programs/command-records.ts';
import { ferriedGuest } from '../support/guests/ferried-guest.ts';
import { makeSparseFile, patchFile, seededBytes } from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';
import { damagedGuestFiles } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';

const MIB = 2 ** 20;
const CHUNK = 65_536;

describeUnless(umlMissing() ?? networkLabMissing(), 'the disks of a guest', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  test('are all moved, with mode and owner, and the guest uses them there', async () => {
    const store = join(hosts.old.home, 'store');
    mkdirSync(store);
    const second = join(store, 'data-2024.img');
    makeSparseFile(second, 256 * MIB);
    patchFile(second, 100 * MIB, seededBytes(11, 3 * MIB));
    chmodSync(second, 0o640);
    chownSync(second, 1234, 4321);
    // A link: the guest knows it as data.img.
    symlinkSync(second, join(hosts.old.images, 'data.img'));
    const guest = await ferriedGuest(hosts, 'pair', {
      extraArgs: [`ubd1=${join(hosts.old.images, 'data.img')}`],
    });

    // Some of what the first disk has.
    const image = readFileSync(guest.image.path);
    const shared = Array.from({ length: image.length / CHUNK }, (_, position) => position * CHUNK)
      .map((offset) => image.subarray(offset, offset + CHUNK))
      .filter((chunk) => chunk.some((byte) => byte !== 0))
      .slice(-4);
    patchFile(second, 200 * MIB, Buffer.concat(shared));

    const byPath = errorOf(
      await hosts.run(['migrate', guest.image.path, ...hosts.targetArguments(), '--json']),
    );
    expect(byPath).toMatchObject({ code: 'image-in-use', exitStatus: 10 });
    expect(byPath.message).toContain('linux');

    const dryRun = await hosts.run([...(await guest.migrateArguments()), '--dry-run']);
    const plan = resultOf<{ estimatedDowntimeSeconds: number }>(dryRun);
    expect(plan).toMatchObject({ type: 'plan', willHalt: true, willBoot: true });
    expect(plan.estimatedDowntimeSeconds).toBeGreaterThan(0);
    expect(guest.runsOn('old')).toBe(true);
    expect(await hosts.filesOnNew()).toEqual([]);
    expect((await hosts.runOnNew(['guests', '--json'])).stdout).toContain('"guests":[]');

    const { disks } = resultOf<Pick<MigrationReport, 'disks'>>(
      await hosts.run(await guest.migrateArguments()),
    );
    const target = join(hosts.new.images, 'data.img');
    expect(disks.map((disk) => disk.target)).toEqual([join(hosts.new.images, 'pair.img'), target]);
    expect(disks[1]?.readBytes).toBeLessThan(4 * MIB);
    expect(disks.map(({ takenBytes }) => takenBytes)).toEqual([0, 4 * CHUNK]);
    expect(await hosts.filesOnNew()).toEqual(['data.img', 'pair.img']);
    const { guests } = JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout) as {
      guests: { disks: { path: string }[] }[];
    };
    expect(guests[0]?.disks.map(({ path }) => path)).toEqual(disks.map((disk) => disk.target));

    expect((await hosts.runOnNew(['halt', 'pair'])).exitStatus).toBe(0);
    expect(await damagedGuestFiles(join(hosts.new.images, 'pair.img'), guest.image.files)).toEqual([]);
    expect(readFileSync(target).equals(readFileSync(second))).toBe(true);
    const { mode, uid, gid, mtimeMs, blocks } = statSync(target);
    const source = statSync(second);
    expect({ mode, uid, gid }).toEqual({ mode: source.mode, uid: 1234, gid: 4321 });
    expect(mtimeMs).toBeCloseTo(source.mtimeMs, 2);
    expect(blocks * 512).toBeLessThan(4 * MIB);
  });

  test('with the same file name are refused while the guest still runs', async () => {
    const other = join(hosts.old.home, 'twin.img');
    makeSparseFile(other, MIB);
    const guest = await ferriedGuest(hosts, 'twin', { extraArgs: [`ubd1=${other}`] });
    const directory = join(hosts.new.home, 'elsewhere');
    mkdirSync(directory);
    const problems = problemsOf(await hosts.run(await guest.migrateArguments({ directory })));
    expect(problems).toMatchObject([{ code: 'guest-unsupported' }]);
    expect(problems[0]?.message).toContain(other);
    expect(guest.runsOn('old')).toBe(true);
  });

  test('include one that is not raw: this is found before the halt', async () => {
    const path = join(hosts.old.images, 'qcow.img');
    makeSparseFile(path, MIB);
    const guest = await ferriedGuest(hosts, 'mixed', { extraArgs: [`ubd1=${path}`] });
    // The guest itself does not check.
    patchFile(path, 0, Buffer.from('QFI\xfb', 'latin1'));
    const directory = join(hosts.new.home, 'elsewhere');
    const problems = problemsOf(await hosts.run(await guest.migrateArguments({ directory })));
    expect(problems).toMatchObject([{ code: 'guest-unsupported' }]);
    expect(problems[0]?.message).toContain('qcow2');
    expect(guest.runsOn('old')).toBe(true);
    renameSync(path, `${path}.away`);
  });
});
