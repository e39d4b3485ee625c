import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { GUEST_KERNEL, noConversion } from '../../../src/operations/migrate/conversion/guest-there.ts';
import { failureOf } from '../../support/failures.ts';
import { fakeDefinition, fakeDriver, type FakeDriver } from '../../support/guests/fake-driver.ts';
import { bootMenu, MENU_ARGUMENT, smallKernel } from '../../support/guests/own-kernel.ts';
import { runTool } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { restoreWhole } from '../../support/stores/restoring.ts';

const VERSION = '6.1.0-9';
const kernel = smallKernel(VERSION);

let world: BackupWorld;
let qemu: FakeDriver & { checked: GuestDefinition[] };
let image: string;
let back: string;

describeWithTools('the kernel of a guest that is restored as one of QEMU', ['mke2fs', 'debugfs'], () => {
  beforeEach(() => {
    world = new BackupWorld();
    image = join(world.path, 'web.img');
    back = join(world.path, 'back.img');
    const checked: GuestDefinition[] = [];
    const driver = fakeDriver();
    qemu = {
      ...driver,
      checked,
      kind: 'qemu',
      complete: (given) =>
        Promise.resolve(
          given.kernel === null && given.boot === undefined ? { ...given, kernel: '/boot/machines' } : given,
        ),
      checkBootable: (definition, forwarded, isVouchedFor, coming = []) => {
        checked.push(definition);
        const { kernel: file } = definition;
        if (file !== null && file !== '/boot/machines' && !coming.includes(file) && !existsSync(file))
          return Promise.resolve([
            new Failure('hypervisor-missing', `The guest's kernel ${file} is not here.`),
          ]);
        return driver.checkBootable(definition, forwarded, isVouchedFor);
      },
    };
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });

  /** Backs up a guest, with a kernel on its disk or without one, and loses it. */
  async function lose(
    hasKernel: boolean,
    definition: Partial<GuestDefinition>,
    { isClean = true } = {},
  ): Promise<void> {
    const tree = join(world.path, 'tree');
    for (const directory of ['sbin', 'etc', 'boot/grub'])
      mkdirSync(join(tree, directory), { recursive: true });
    writeFileSync(join(tree, 'sbin/init'), '');
    if (hasKernel) {
      writeFileSync(join(tree, 'boot/grub/grub.cfg'), bootMenu(VERSION, '/dev/xvda', '/boot'));
      writeFileSync(join(tree, `boot/vmlinuz-${VERSION}`), kernel);
      if (isClean) writeFileSync(join(tree, `boot/initrd.img-${VERSION}`), 'initrd');
    }
    writeFileSync(image, '');
    truncateSync(image, 8 * 2 ** 20);
    if (!isClean) {
      // Without an initial RAM disk, this is changed in the file system, which has to be clean for that.
      const menu = join(tree, 'boot/grub/grub.cfg');
      writeFileSync(menu, readFileSync(menu, 'utf8').replace(/^.*initrd.*$/m, ''));
      writeFileSync(join(tree, 'etc/fstab'), '/dev/ubda / ext4 defaults 0 1\n');
    }
    runTool('mke2fs', ['-qF', '-t', 'ext4', '-d', tree, image]);
    if (!isClean) runTool('debugfs', ['-w', '-R', 'ssv state 0', image]);
    const device = definition.driver === 'xen' ? 'xvda' : 'ubd0';
    const disks = [{ device, path: image, readOnly: false }];
    const web = fakeDefinition('web', [], { disks, ...definition });
    await world.dependencies.records.write({ definition: web, state: 'halted' });
    world.dependencies.drivers = [{ ...fakeDriver(), kind: web.driver }];
    await world.backup('web');
    rmSync(image);
    world.dependencies.drivers = [{ ...fakeDriver(), kind: web.driver }, qemu];
  }

  const pygrub = { driver: 'xen', boot: 'boot-loader', virtualization: 'pv' } as const;
  const restored = (chosen: string | null) => {
    const conversion = { ...noConversion, as: 'qemu' as const, kernel: chosen };
    const start = { bootTimeoutMs: 1000, oldHostIsGone: false, ask: null, conversion };
    return restoreWhole(world, 'web', back, { start });
  };
  const made = (kind: 'kernel' | 'initrd') => join(world.path, kind, 'web');
  const messages = (type: 'notice' | 'warning') =>
    world.events.flatMap((event) => (event.type === type ? [event.message] : [])).join('\n');

  test.each([
    ['is its own if that is chosen', {}, GUEST_KERNEL],
    ['is its own if pygrub booted it before', pygrub, null],
  ] as const)('%s', async (_, before, chosen) => {
    await lose(true, { ...before, commandLine: before === pygrub ? [] : ['root=/dev/ubda'] });
    await restored(chosen);
    const started = qemu.running.get('web')?.definition;
    expect(started).toMatchObject({ driver: 'qemu', kernel: made('kernel'), initrd: made('initrd') });
    expect(started).not.toHaveProperty('boot');
    expect(started?.commandLine).toEqual(
      expect.arrayContaining(['root=/dev/vda', MENU_ARGUMENT, 'console=ttyS0']),
    );
    expect(readFileSync(made('kernel')).equals(kernel)).toBe(true);
    expect(readFileSync(made('initrd'), 'latin1')).toMatch(/^initrd/);
    // The check came before the disk was there.
    expect(qemu.checked[0]).toMatchObject({ kernel: made('kernel'), initrd: null });
    expect(messages('notice')).toMatch(
      /The kernel is the guest's own\. [^]*The kernel is the guest's own 6\.1\.0-9/,
    );
    expect(await world.dependencies.records.read('web')).toMatchObject({
      state: 'running',
      definition: { kernel: made('kernel') },
    });
  });

  test('is that of this machine if pygrub booted it before, and its disk has none', async () => {
    await lose(false, pygrub);
    await restored(null);
    expect(qemu.running.get('web')?.definition).toMatchObject({ kernel: '/boot/machines' });
    expect(messages('warning')).toContain(
      "web gets the new machine's kernel, not its own: web has no kernel",
    );
    expect(existsSync(made('kernel'))).toBe(false);
  });

  test('is removed again if the disk cannot be adapted', async () => {
    await lose(true, { commandLine: ['root=/dev/ubda'] }, { isClean: false });
    expect(await failureOf(() => restored(GUEST_KERNEL))).toMatchObject({ code: 'write-failed' });
    expect(existsSync(join(world.path, 'kernel'))).toBe(true);
    expect(existsSync(made('kernel'))).toBe(false);
    expect(qemu.history).toEqual([]);
  });

  test('is missing if it was chosen and its disk has none: the disk stays, and nothing is started', async () => {
    await lose(false, { commandLine: ['root=/dev/ubda'] });
    expect(await failureOf(() => restored(GUEST_KERNEL))).toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining('web has no kernel'),
      advice: expect.stringContaining('--kernel FILE'),
    });
    expect(qemu.history).toEqual([]);
    expect(existsSync(back)).toBe(true);
    expect(existsSync(made('kernel'))).toBe(false);
  });
});
