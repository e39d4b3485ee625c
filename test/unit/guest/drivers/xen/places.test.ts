import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { xenHost, type XenHost } from '../../../../../src/guest/drivers/xen/host/host.ts';
import { setXenAutostart } from '../../../../../src/guest/drivers/xen/places/autostart.ts';
import {
  listAutoEntries,
  listConfigFiles,
} from '../../../../../src/guest/drivers/xen/places/config-files.ts';
import { fenceXen, unfenceXen } from '../../../../../src/guest/drivers/xen/places/fence.ts';
import { dropXen, keepXen } from '../../../../../src/guest/drivers/xen/places/keep.ts';
import { codeOf } from '../../../../support/failures.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

const configOf = (name: string) =>
  `name = "${name}"\nmemory = 64\nkernel = "/boot/vmlinuz"\ndisk = [ 'phy:/dev/vg0/${name},xvda,w' ]\n`;

let scratch: ReturnType<typeof scratchDirectory>;
let host: XenHost;
let elsewhere: string;

beforeEach(() => {
  scratch = scratchDirectory();
  host = xenHost({ VMFERRY_XEN_DIR: join(scratch.path, 'xen') });
  elsewhere = join(scratch.path, 'elsewhere');
  mkdirSync(host.autoDirectory, { recursive: true });
  mkdirSync(elsewhere);
});
afterEach(() => scratch[Symbol.dispose]());

const put = (path: string, name: string): string => {
  writeFileSync(path, configOf(name));
  return path;
};
const inConfig = (file: string) => join(host.configDirectory, file);
const inAuto = (file: string) => join(host.autoDirectory, file);
const names = () => listConfigFiles(host).map(({ name }) => name);
const autostarting = () => listAutoEntries(host).map(({ file }) => file.name);

/** Each file and link below the directory, with what it is: to compare before and after. */
function tree(directory: string): Record<string, string> {
  const entries = readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted();
  return Object.fromEntries(
    entries
      .map((entry) => join(directory, entry))
      .filter((path) => !lstatSync(path).isDirectory())
      .map((path) => [
        relative(directory, path),
        lstatSync(path).isSymbolicLink()
          ? `link to ${readlinkSync(path)}`
          : `${statSync(path).ino} ${readFileSync(path, 'utf8')}`,
      ]),
  );
}

/** Every way in which an administrator can have a guest started with the machine. */
const entries: [string, () => void][] = [
  ['a relative link', () => symlinkSync('../web.cfg', inAuto('web'))],
  ['an absolute link', () => symlinkSync(inConfig('web.cfg'), inAuto('01_web'))],
  ['a hard link', () => linkSync(inConfig('web.cfg'), inAuto('02-web.cfg'))],
  [
    'a link to a file elsewhere',
    () => symlinkSync(put(join(elsewhere, 'guest-7.cfg'), 'web'), inAuto('web.cfg')),
  ],
  [
    'a file',
    () => {
      put(inAuto('web.cfg'), 'web');
    },
  ],
  [
    'two links',
    () => {
      symlinkSync('../web.cfg', inAuto('web'));
      symlinkSync('../web.cfg', inAuto('99_web'));
    },
  ],
];

describe('the files of Xen’s guests', () => {
  test('a guest is found by the name inside its file, wherever the file is', () => {
    put(inConfig('old-name.cfg'), 'web');
    put(inConfig('mail'), 'mail');
    symlinkSync(put(join(elsewhere, 'x'), 'shop'), inAuto('03_anything'));
    linkSync(inConfig('mail'), inAuto('mail'));
    for (const other of ['.hidden.cfg', 'web.cfg.bak', 'web.cfg~', 'xlexample.pvlinux', 'web.cfg.dpkg-old'])
      put(inConfig(other), 'ghost');
    writeFileSync(inConfig('xl.conf'), 'autoballoon="off"\n');
    writeFileSync(inConfig('notes.txt'), 'name: web\n');
    symlinkSync('/nowhere', inAuto('dangling'));
    expect(names().toSorted()).toEqual(['mail', 'shop', 'web']);
    expect(autostarting()).toEqual(['shop', 'mail']);
  });

  test('a file that xl would misunderstand is listed with the reason', () => {
    writeFileSync(inConfig('web.cfg'), configOf('web').replace('64', '64M'));
    writeFileSync(inConfig('mail.cfg'), `${configOf('mail')}vif = 'bridge=a'\n`);
    const [mail, web] = listConfigFiles(host);
    expect(web).toMatchObject({ name: 'web', unsupported: { code: 'guest-unsupported' } });
    expect(web?.unsupported?.message).toContain('line 2');
    expect(mail?.unsupported?.message).toContain('line 5: vif is a single value');
  });

  test.each(entries)('%s is taken away, and the guest is known still', async (_, make) => {
    put(inConfig('web.cfg'), 'web');
    put(inConfig('mail.cfg'), 'mail');
    symlinkSync('../mail.cfg', inAuto('mail'));
    if (_ === 'a file') renameSync(inConfig('web.cfg'), join(elsewhere, 'unused'));
    make();
    expect(autostarting()).toContain('web');
    await setXenAutostart(host, 'web', true);
    const before = readdirSync(host.autoDirectory);
    await setXenAutostart(host, 'web', true);
    expect(readdirSync(host.autoDirectory)).toEqual(before);
    await setXenAutostart(host, 'web', false);
    expect(autostarting()).toEqual(['mail']);
    expect(names()).toContain('web');
    await setXenAutostart(host, 'web', true);
    expect(autostarting()).toContain('web');
  });

  test('a guest without a file cannot start with the machine', async () => {
    expect(await codeOf(() => setXenAutostart(host, 'web', true))).toBe('guest-not-found');
    put(inConfig('web.cfg'), 'web');
    symlinkSync(put(join(elsewhere, 'x'), 'other'), inAuto('web.cfg'));
    expect(await codeOf(() => setXenAutostart(host, 'web', true))).toBe('target-exists');
  });
});

describe('a fence around a guest of Xen', () => {
  test.each(entries)('nothing starts it by %s, and all is put back exactly', async (_, make) => {
    put(inConfig('web.cfg'), 'web');
    put(inConfig('mail.cfg'), 'mail');
    symlinkSync('../mail.cfg', inAuto('mail'));
    make();
    const before = tree(scratch.path);
    const fence = await fenceXen(host, 'web');
    expect(autostarting()).toEqual(['mail']);
    expect(names()).toEqual(['mail']);
    expect(existsSync(inConfig('web.cfg'))).toBe(false);
    // Each file that does not begin with a dot would be started.
    expect(readdirSync(host.autoDirectory)).toEqual(['mail']);
    expect(await fenceXen(host, 'web')).toBe(fence);

    await unfenceXen(host, 'web', fence);
    expect(tree(scratch.path)).toEqual(before);
    await unfenceXen(host, 'web', fence);
    expect(tree(scratch.path)).toEqual(before);
  });

  test('a fence that was cut short is finished by the next call, and can be taken back at any point', async () => {
    put(inConfig('web.cfg'), 'web');
    symlinkSync('../web.cfg', inAuto('01_web'));
    symlinkSync('../web.cfg', inAuto('02_web'));
    const before = tree(scratch.path);
    const fence = await fenceXen(host, 'web');
    const { moves } = JSON.parse(fence) as { moves: { from: string; to: string }[] };
    expect(moves).toHaveLength(3);
    for (let done = 0; done <= moves.length; done++) {
      await unfenceXen(host, 'web', fence);
      expect(tree(scratch.path)).toEqual(before);
      await fenceXen(host, 'web');
      for (const { from, to } of moves.slice(done)) renameSync(to, from);
      expect(await fenceXen(host, 'web')).toBe(fence);
      expect(names()).toEqual([]);
      for (const { from, to } of moves.slice(done)) renameSync(to, from);
    }
    await unfenceXen(host, 'web', fence);
    expect(tree(scratch.path)).toEqual(before);
  });

  test('a file that has come meanwhile is not overwritten', async () => {
    put(inConfig('web.cfg'), 'web');
    const fence = await fenceXen(host, 'web');
    put(inConfig('web.cfg'), 'web');
    expect(await codeOf(() => unfenceXen(host, 'web', fence))).toBe('target-exists');
    expect(await codeOf(() => unfenceXen(host, 'web', '{"version":2}'))).toBe('guest-unsupported');
  });
});

describe('a guest of Xen that is kept', () => {
  const web: GuestDefinition = {
    name: 'web',
    driver: 'xen',
    memoryBytes: 64 * 2 ** 20,
    cpuCount: null,
    kernel: '/boot/vmlinuz',
    initrd: null,
    commandLine: [],
    disks: [{ device: 'xvda', path: '/srv/web.img', readOnly: false }],
  };

  test('has a file that root alone can read, and starts with the machine if it should', async () => {
    await keepXen(host, { ...web, autostart: true });
    expect(statSync(inConfig('web.cfg')).mode & 0o777).toBe(0o600);
    expect(readlinkSync(inAuto('web.cfg'))).toBe('../web.cfg');
    expect(listConfigFiles(host)).toMatchObject([{ name: 'web', unsupported: null }]);
    await keepXen(host, { ...web, autostart: true });
    expect(await codeOf(() => keepXen(host, { ...web, memoryBytes: 2 ** 30 }))).toBe('target-exists');
    await keepXen(host, web);
    expect(autostarting()).toEqual([]);
  });

  test('is forgotten with its links, and others stay', async () => {
    put(inConfig('mail.cfg'), 'mail');
    await keepXen(host, { ...web, autostart: true });
    await dropXen(host, 'web');
    await dropXen(host, 'web');
    expect(names()).toEqual(['mail']);
    expect(readdirSync(host.autoDirectory)).toEqual([]);
  });

  test('does not take the place of a guest whose file has another name', async () => {
    put(inConfig('first.cfg'), 'web');
    expect(await codeOf(() => keepXen(host, web))).toBe('target-exists');
    put(inConfig('mail.cfg'), 'other');
    expect(await codeOf(() => keepXen(host, { ...web, name: 'mail' }))).toBe('target-exists');
  });
});
