import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ferriedGuest } from '../support/guests/ferried-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { makeSparseFile, patchFile, runTool, seededBytes } from '../support/images/images.ts';
import { fileSha256 } from '../support/images/sparse-images.ts';
import { errorOf, resultOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

describeUnless(umlMissing() ?? networkLabMissing(), 'a move out of an archive', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  test('brings a compressed image, and leaves nothing unpacked here; a damaged one arrives nowhere', async () => {
    const image = join(hosts.old.images, 'old-root');
    makeSparseFile(image, 16 * 2 ** 20);
    patchFile(image, 2 ** 20, seededBytes(3, 2 ** 20));
    const sha256 = await fileSha256(image);
    runTool('gzip', ['-1', image]);
    const packed = `${image}.gz`;
    const { archive, disks } = resultOf<{ archive: string; disks: { target: string }[] }>(
      await hosts.run(['migrate', packed, ...hosts.targetArguments(), '--json']),
    );
    expect(archive).toBe(packed);
    expect(disks).toMatchObject([{ target: join(hosts.new.images, 'old-root') }]);
    expect(await fileSha256(join(hosts.new.images, 'old-root'))).toBe(sha256);
    expect(readdirSync(hosts.old.images)).toEqual(['old-root.gz']);
    rmSync(join(hosts.new.images, 'old-root'));
    writeFileSync(packed, readFileSync(packed).subarray(0, statSync(packed).size - 100));
    const cut = errorOf(await hosts.run(['migrate', packed, ...hosts.targetArguments(), '--json']));
    expect(cut).toMatchObject({ code: 'archive-damaged' });
    expect(readdirSync(hosts.old.images)).toEqual(['old-root.gz']);
    expect(await hosts.filesOnNew()).toEqual([]);
  });

  test('boots the guest that the archive describes, unless that guest is known here', async () => {
    const guest = await ferriedGuest(hosts, 'packed');
    const archive = join(hosts.old.home, 'packed.tar.zst');
    resultOf(await hosts.run(['export', 'packed', '-o', archive, '--halt', '--json']));
    const migrate = ['migrate', archive, ...hosts.targetArguments(), '--json'];
    expect(errorOf(await hosts.run(migrate))).toMatchObject({ code: 'target-exists' });
    expect(guest.runsOn('old')).toBe(true);
    resultOf(await hosts.run(['halt', 'packed', '--json']));
    rmSync(join(hosts.old.stateDir, 'guests', 'packed.json'));
    const { booted } = resultOf<{ booted: unknown }>(await hosts.run(migrate));
    expect(booted).not.toBeNull();
    expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([false, true]);
    expect(readdirSync(hosts.old.home).filter((name) => name.startsWith('.vmferry'))).toEqual([]);
  });
});
