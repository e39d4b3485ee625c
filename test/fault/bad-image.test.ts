import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorOf, problemsOf, resultOf } from '../support/programs/command-records.ts';
import { makeExtImage, extVariant, makeSparseFile, patchFile } from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import {
  startTwoHosts,
  type CommandEnd,
  type StartOptions,
  type TwoHosts,
} from '../support/ssh/two-hosts.ts';

const missing = networkLabMissing() ?? toolsMissing('setpriv', 'mke2fs', 'debugfs', 'e2fsck');

/** Every image here is refused before anything is sent; nothing is left on the new host. */
describeUnless(missing, 'an image that cannot be moved', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const here = (name: string): string => join(hosts.old.images, name);
  const migrate = async (guest: string, options?: StartOptions): Promise<CommandEnd> => {
    const ended = await hosts.run(['migrate', guest, ...hosts.targetArguments(), '--json'], options);
    expect(await hosts.filesOnNew()).toEqual([]);
    return ended;
  };

  test('an unknown name: the message lists the known guests', async () => {
    const error = errorOf(await migrate('wbe'));
    expect(error).toMatchObject({ code: 'guest-not-found', exitStatus: 10 });
    expect(error.message).toContain('wbe');
    expect(error.advice).toContain('No guest runs or is known here.');
  });

  test.each<[what: string, name: string, make: (path: string) => void, code: string, says: RegExp]>([
    ['that is missing', 'gone.img', () => undefined, 'image-missing', /no image at .*gone\.img/],
    ['that is a directory', 'directory', (path) => mkdirSync(path), 'image-not-a-disk', /a directory/],
    ['of 0 bytes', 'empty.img', (path) => writeFileSync(path, ''), 'image-not-a-disk', /0 bytes/],
    ['of 513 bytes', 'odd.img', (path) => makeSparseFile(path, 513), 'image-not-a-disk', /multiple of 512/],
    [
      'that is a dangling link',
      'link.img',
      (path) => symlinkSync('nowhere', path),
      'image-missing',
      /no image/,
    ],
    [
      'that is a character device',
      'null.img',
      (path) => symlinkSync('/dev/null', path),
      'image-not-a-disk',
      /./,
    ],
    ['in damaged qcow2', 'a.qcow2', (path) => makeContainer(path, 'QFI\xfb'), 'image-unsupported', /qcow2/],
    ['in damaged vmdk', 'a.vmdk', (path) => makeContainer(path, 'KDMV'), 'image-unsupported', /vmdk/],
    [
      'that begins like qcow2',
      'a.img',
      (path) => makeContainer(path, 'QFI\xfb'),
      'guest-unsupported',
      /qcow2/,
    ],
    [
      'that is copy-on-write of the first kind',
      'a.cow',
      (path) => makeContainer(path, 'MOOO'),
      'image-unsupported',
      /copy-on-write/,
    ],
    [
      'that begins like copy-on-write',
      'b.img',
      (path) => makeContainer(path, 'OOOM'),
      'guest-unsupported',
      /uml-cow/,
    ],
  ])('an image %s', async (_, name, make, code, says) => {
    make(here(name));
    const error = errorOf(await migrate(here(name)));
    expect(error).toMatchObject({ code, exitStatus: 10 });
    expect(error.message).toMatch(says);
    expect(error.message).toContain(name);
  });

  test('an image that may not be read', async () => {
    makeSparseFile(here('secret.img'), 4096);
    chmodSync(here('secret.img'), 0o600);
    chownSync(here('secret.img'), 65_534, 65_534);
    // with these two capabilities root can read everything
    const startedBy = ['setpriv', '--bounding-set=-dac_override,-dac_read_search'];
    const error = errorOf(await migrate(here('secret.img'), { startedBy }));
    expect(error).toMatchObject({ code: 'image-unreadable', exitStatus: 10 });
    expect(error.message).toContain('secret.img');
  });

  test('an image that another program has open: the message has its name and pid', async () => {
    makeSparseFile(here('open.img'), 4096);
    const fd = openSync(here('open.img'), 'r+');
    try {
      const error = errorOf(await migrate(here('open.img')));
      expect(error).toMatchObject({ code: 'image-in-use', exitStatus: 10 });
      expect(error.message).toContain(`process ${process.pid}`);
    } finally {
      closeSync(fd);
    }
  });

  test('several problems are reported at once, from both hosts', async () => {
    writeFileSync(here('twice.img'), '');
    writeFileSync(join(hosts.new.images, 'twice.img'), 'mine');
    const directory = hosts.new.images;
    const ended = await hosts.run([
      'migrate',
      here('twice.img'),
      ...hosts.targetArguments({ directory }),
      '--json',
    ]);
    expect(problemsOf(ended).map(({ code }) => code)).toEqual(['image-not-a-disk', 'target-exists']);
    expect(ended.exitStatus).toBe(10);
    const plain = await hosts.run(['migrate', here('twice.img'), ...hosts.targetArguments()]);
    expect(plain.stderr).toContain('2 problems:');

    const nowhere = ['--to', 'nobody@127.0.0.1:/x', '-F', hosts.lab.server.sshConfigFile];
    const both = problemsOf(await hosts.run(['migrate', 'wbe', ...nowhere, '--json']));
    expect(both.map(({ code }) => code)).toEqual(['guest-not-found', 'host-unreachable']);
  });

  test('a dry run of a good image changes nothing on either host', async () => {
    await hosts.runOnNew(['guests']);
    makeExtImage(here('good.img'), extVariant('ext4, 1 KiB'));
    writeFileSync(join(hosts.new.images, 'twice.img'), 'mine');
    const before = { new: await hosts.filesOnNew() };
    const ended = await hosts.run([
      'migrate',
      here('good.img'),
      ...hosts.targetArguments(),
      '--json',
      '--dry-run',
    ]);
    const plan = resultOf<{ disks: { readBytes: number }[]; estimatedSendBytes: number }>(ended);
    expect(plan).toMatchObject({
      type: 'plan',
      willHalt: false,
      willBoot: false,
      estimatedDowntimeSeconds: null,
    });
    expect(plan.estimatedSendBytes).toBeGreaterThan(2 ** 20);
    expect(await hosts.filesOnNew()).toEqual(before.new);
  });
});

function makeContainer(path: string, magic: string): void {
  makeSparseFile(path, 2 ** 20);
  patchFile(path, 0, Buffer.from(magic, 'latin1'));
}
