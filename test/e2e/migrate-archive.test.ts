import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRecordStore } from '../../src/guest/record-store.ts';
import { makeOva, ovaTools } from '../support/archives/ova.ts';
import { withManifest } from '../support/archives/with-manifest.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  receiversOf,
  stageStarted,
} from '../support/guests/ferried-guest.ts';
import { umlKernel, umlKernelScript, umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../support/guests/uml-processes.ts';
import { fakeDefinition } from '../support/guests/fake-driver.ts';
import { makeSparseFile, patchFile, runTool, seededBytes } from '../support/images/images.ts';
import { fileSha256 } from '../support/images/sparse-images.ts';
import { errorOf, problemsOf, resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing = umlMissing() ?? networkLabMissing() ?? toolsMissing('gzip', 'tar', 'zstd', ...ovaTools);

describeUnless(missing, 'a move out of an archive', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  /** Makes an image of 16 MiB with this many random bytes, and returns its path. */
  function makeImage(name: string, randomBytes: number): string {
    const image = join(hosts.old.images, name);
    makeSparseFile(image, 16 * 2 ** 20);
    patchFile(image, 2 ** 20, seededBytes(3, randomBytes));
    return image;
  }

  /** The new hardware starts any kernel that a guest of its own has. */
  async function makeKnownThere(name: string, kernel: string): Promise<void> {
    const records = createRecordStore(join(hosts.new.stateDir, 'guests'));
    await records.write({ definition: fakeDefinition(name, ['/nowhere'], { kernel }), state: 'halted' });
  }

  test('brings a compressed image, and leaves nothing unpacked here; a damaged one arrives nowhere', async () => {
    const image = makeImage('old-root', 2 ** 20);
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
    rmSync(packed);
  });

  test('brings the disk of an OVA', async () => {
    const image = makeImage('web.img', 2 ** 20);
    const sha256 = await fileSha256(image);
    const ova = join(hosts.old.images, 'web.ova');
    makeOva(ova, image);
    rmSync(image);
    const { guest, booted } = resultOf(
      await hosts.run(['migrate', ova, ...hosts.targetArguments(), '--json']),
    );
    expect([guest, booted]).toEqual(['web', null]);
    expect(await hosts.filesOnNew()).toEqual(['web-disk1.img']);
    expect(await fileSha256(join(hosts.new.images, 'web-disk1.img'))).toBe(sha256);
    expect(readdirSync(hosts.old.images)).toEqual(['web.ova']);
    rmSync(ova);
    rmSync(join(hosts.new.images, 'web-disk1.img'));
  });

  test.each([
    [
      'comes from another machine and is unpacked',
      'remote',
      stageStarted('import'),
      '"stage-finished","stage":"import"',
    ],
    ['came from standard input and is sent', 'stdin', copyHasBegun, '"stage-finished","stage":"copy"'],
  ])('leaves nothing here or there at Ctrl-C while it %s', async (_, source, when, tooLate) => {
    const image = makeImage('large', 14 * 2 ** 20);
    runTool('gzip', ['-1', image]);
    const elsewhere = join(hosts.new.home, 'large.gz');
    renameSync(`${image}.gz`, elsewhere);
    const scratch = join(hosts.old.home, 'scratch');
    mkdirSync(scratch);
    // So all that comes over the line takes seconds.
    await hosts.lab.rate('16mbit');
    const name = source === 'remote' ? `${hosts.lab.server.destination}:${elsewhere}` : '-';
    const startedBy = source === 'remote' ? [] : ['sh', '-c', `exec "$@" <'${elsewhere}'`, 'sh'];
    const args = ['migrate', name, ...hosts.targetArguments(), '--scratch', scratch, '--json'];
    const command = hosts.start(args, { startedBy });
    await command.printed(when);
    await eventually('something is unpacked', 10_000, () => readdirSync(scratch).length > 0);
    command.signal('SIGINT');
    const ended = await command.ended;
    await hosts.lab.rate(null);
    expect(errorOf(ended)).toMatchObject({ code: 'interrupted', exitStatus: 130 });
    expect(ended.stdout).not.toContain(tooLate);
    expect(readdirSync(scratch)).toEqual([]);
    await eventually('its receiver has ended', 10_000, async () => (await receiversOf(hosts)).length === 0);
    expect(await hosts.filesOnNew()).toEqual([]);
    rmSync(scratch, { recursive: true });
    rmSync(elsewhere);
  });

  test('boots the guest that the archive describes, unless that guest is known here', async () => {
    const guest = await ferriedGuest(hosts, 'packed');
    await makeKnownThere('vouching', umlKernel());
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

  test('boots a guest of another machine once that is gone, and starts no program that no guest there has', async () => {
    const ran = join(hosts.new.home, 'ran');
    const kernel = join(hosts.new.home, 'kernel');
    writeFileSync(kernel, umlKernelScript().replace('\n', `\ntouch '${ran}'\n`), { mode: 0o755 });
    const archive = join(hosts.old.home, 'foreign.tar');
    // The test before has made it.
    withManifest(join(hosts.old.home, 'packed.tar.zst'), archive, (manifest) => {
      const definition = { ...(manifest.definition as object), name: 'foreign', kernel };
      return { ...manifest, guest: 'foreign', host: 'burnt', machine: 'b'.repeat(32), definition };
    });
    const directory = join(hosts.new.home, 'foreign');
    mkdirSync(directory);
    const migrate = ['migrate', archive, ...hosts.targetArguments({ directory }), '--json'];
    expect(problemsOf(await hosts.run(migrate))).toContainEqual(
      expect.objectContaining({
        code: 'guest-fenced',
        message: expect.stringContaining('The archive of foreign was made on burnt'),
        advice: expect.stringContaining('--old-host-is-gone'),
      }),
    );
    migrate.push('--old-host-is-gone');
    expect(errorOf(await hosts.run(migrate))).toMatchObject({
      code: 'hypervisor-missing',
      message: expect.stringMatching(/comes from an archive.*kernel as the kernel, which is not started/),
    });
    expect(readdirSync(hosts.new.home)).not.toContain('ran');
    expect(readdirSync(directory)).toEqual([]);
    await makeKnownThere('own', kernel);
    const { booted } = resultOf<{ booted: unknown }>(await hosts.run(migrate));
    expect(booted).not.toBeNull();
    expect(umlProcessesOf('foreign', hosts.new.umlDir)).not.toEqual([]);
    expect(readdirSync(hosts.new.home)).toContain('ran');
    expect(readdirSync(hosts.old.home).filter((name) => name.startsWith('.vmferry'))).toEqual([]);
  });
});
