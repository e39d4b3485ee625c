import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { convert, makeRawDisk, viewsMissing } from '../support/images/containers.ts';
import { patchFile, runTool } from '../support/images/images.ts';
import { errorOf, resultOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

interface Moved {
  disks: { target: string; fingerprint: string; readBack: string }[];
}

describeUnless(viewsMissing() ?? networkLabMissing(), 'an image that no guest uses is moved', () => {
  let hosts: TwoHosts;
  let raw: string;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    raw = join(hosts.old.images, 'disk');
    makeRawDisk(raw);
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  /** Moves the image into a directory of its own, and compares the copy with the raw disk. */
  async function move(image: string, directory: string, options: readonly string[]): Promise<Moved> {
    const to = join(hosts.new.images, directory);
    mkdirSync(to);
    const moved = resultOf<Moved>(
      await hosts.run(['migrate', image, ...hosts.targetArguments({ directory: to }), ...options, '--json']),
    );
    const [disk] = moved.disks;
    const format = disk?.target.endsWith('.qcow2') ? 'qcow2' : 'raw';
    runTool('qemu-img', ['compare', '-f', 'raw', '-F', format, raw, disk?.target ?? '']);
    if (format === 'qcow2') runTool('qemu-img', ['check', '-q', '-f', 'qcow2', disk?.target ?? '']);
    expect(readdirSync(to).map((name) => join(to, name))).toEqual([disk?.target]);
    return moved;
  }

  test('as qcow2 if it was VMDK, and its free space stays a hole', async () => {
    const image = join(hosts.old.images, 'web.vmdk');
    convert(raw, image, 'vmdk');
    const { disks } = await move(image, 'vmdk', []);
    expect(disks).toMatchObject([{ target: expect.stringMatching(/vmdk\/web\.qcow2$/), readBack: 'direct' }]);
    expect(existsSync(image)).toBe(true);
  });

  test('with its backing file, as one raw image, when that is wanted', async () => {
    const [base, image] = [join(hosts.old.images, 'base.qcow2'), join(hosts.old.images, 'top.qcow2')];
    convert(raw, base, 'qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', 'base.qcow2', image]);
    const { disks } = await move(image, 'chain', ['--format', 'raw']);
    expect(disks[0]?.target).toMatch(/chain\/top\.img$/);
  });

  test('with a backing file from another directory, once that directory is named', async () => {
    const [elsewhere, own] = ['elsewhere', 'own'].map((name) => join(hosts.old.images, name));
    for (const directory of [elsewhere, own]) mkdirSync(directory ?? '');
    const [base, image] = [join(elsewhere ?? '', 'base.qcow2'), join(own ?? '', 'over.qcow2')];
    convert(raw, base, 'qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, image]);
    const failure = errorOf(await hosts.run(['migrate', image, ...hosts.targetArguments(), '--json']));
    expect(failure).toMatchObject({ code: 'image-unsupported' });
    const [, option = '', place = ''] = /(--backing-directory) (\S+)\. /.exec(failure.advice ?? '') ?? [];
    expect(place).toBe(elsewhere);
    const { disks } = await move(image, 'elsewhere', [option, place]);
    expect(disks[0]?.target).toMatch(/elsewhere\/over\.qcow2$/);
  });

  test('as qcow2 if it was raw, when that is wanted', async () => {
    const { disks } = await move(raw, 'raw', ['--format', 'qcow2']);
    expect(disks[0]?.target).toMatch(/raw\/disk\.qcow2$/);
  });

  test('under a name without ending, when the person says its format', async () => {
    const image = join(hosts.old.images, 'unnamed');
    convert(raw, image, 'vdi');
    const { disks } = await move(image, 'unnamed', ['--image-format', 'vdi']);
    expect(disks[0]?.target).toMatch(/unnamed\/unnamed\.qcow2$/);
  });

  test('not if it begins like another format, and nobody said so', async () => {
    const image = join(hosts.old.images, 'doubtful.img');
    makeRawDisk(image);
    patchFile(image, 0, Buffer.from('QFI\xfb', 'latin1'));
    const failure = errorOf(await hosts.run(['migrate', image, ...hosts.targetArguments(), '--json']));
    expect(failure).toMatchObject({ code: 'guest-unsupported' });
    expect(failure.advice).toContain('--image-format qcow2');
  });
});
