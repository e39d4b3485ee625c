import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import { findGuestKernel } from '../../../src/guest/boot-menu/find-guest-kernel.ts';
import { bootFilesThere } from '../../../src/operations/migrate/conversion/adaptation-work.ts';
import {
  guestThere,
  GUEST_KERNEL,
  noConversion,
} from '../../../src/operations/migrate/conversion/guest-there.ts';
import { withKernelNow } from '../../../src/operations/migrate/conversion/kernel-after-halt.ts';
import { failureOf } from '../../support/failures.ts';
import { fakeDefinition } from '../../support/guests/fake-driver.ts';
import { bootMenu, smallKernel } from '../../support/guests/own-kernel.ts';
import { runTool, scratchDirectory } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const { signal } = new AbortController();

/** A guest that runs on between the preflight and the halt, for days with --hold. */
describeWithTools('the kernel of a guest, after its halt', ['mke2fs', 'debugfs'], () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  let image: string;
  let events: Event[];
  const context = { signal, report: (event: Event) => void events.push(event) };
  const run = (...lines: string[]) => {
    for (const line of lines) runTool('debugfs', ['-w', '-R', line, image]);
  };

  beforeEach(() => {
    scratch = scratchDirectory();
    events = [];
    image = join(scratch.path, 'web.img');
    const tree = join(scratch.path, 'tree');
    for (const directory of ['sbin', 'boot/grub']) mkdirSync(join(tree, directory), { recursive: true });
    writeFileSync(join(tree, 'sbin/init'), '');
    writeFileSync(join(tree, 'boot/vmlinuz-6.1'), smallKernel('6.1'));
    writeFileSync(join(tree, 'boot/initrd.img-6.1'), 'initrd');
    writeFileSync(join(tree, 'boot/grub/grub.cfg'), bootMenu('6.1', '/dev/xvda', '/boot'));
    writeFileSync(join(scratch.path, 'kernel'), smallKernel('6.5'));
    writeFileSync(
      join(scratch.path, 'menu'),
      bootMenu('6.5', '/dev/xvda', '/boot')
        .replace(/^.*initrd.*$/m, '')
        .replace('panic=-1', 'panic=9'),
    );
    writeFileSync(image, '');
    truncateSync(image, 8 * 2 ** 20);
    runTool('mke2fs', ['-qF', '-t', 'ext4', '-d', tree, image]);
  });
  afterEach(() => scratch[Symbol.dispose]());

  /** As the new machine has completed it in the preflight. */
  async function planned(kernel: string | null) {
    const definition = fakeDefinition('web', [], {
      driver: 'xen',
      boot: 'boot-loader',
      disks: [{ device: 'xvda', path: image, readOnly: false, bus: 'xen' }],
    });
    const [disk] = definition.disks;
    if (disk === undefined) throw new Error('no disk');
    const place = { disk, path: '/there/web.img', format: 'raw' as const };
    const conversion = { ...noConversion, as: 'qemu' as const, kernel };
    const relocated = { ...definition, disks: [{ ...disk, path: place.path }] };
    const own = await findGuestKernel(definition, context);
    const there = guestThere(definition, relocated, conversion, null, own);
    const completed = { ...there.definition, kernel: '/state/kernel/web-1', initrd: '/state/initrd/web-1' };
    return {
      request: { conversion },
      guest: { definition },
      there: { ...there, definition: completed },
      places: [place],
    };
  }

  test('is that of the preflight if nothing has changed', async () => {
    const move = await planned(GUEST_KERNEL);
    expect(await withKernelNow(move, null, context)).toBe(move.there);
    expect(events).toEqual([]);
  });

  test.each([GUEST_KERNEL, null])(
    'is another one if the guest has got that (--kernel %s)',
    async (chosen) => {
      const move = await planned(chosen);
      run(
        'rm /boot/vmlinuz-6.1',
        'rm /boot/grub/grub.cfg',
        `write ${join(scratch.path, 'kernel')} /boot/vmlinuz-6.5`,
        `write ${join(scratch.path, 'menu')} /boot/grub/grub.cfg`,
      );
      const now = await withKernelNow(move, null, context);
      expect(bootFilesThere(now)).toEqual({
        path: '/there/web.img',
        offset: 0,
        kernel: '/boot/vmlinuz-6.5',
        initrds: [],
      });
      expect(now.definition).toMatchObject({ kernel: '/state/kernel/web-1', initrd: null });
      expect(now.definition.commandLine).toContain('panic=9');
      expect(events).toMatchObject([
        { code: 'kernel-differs', message: expect.stringMatching(/boots .*6\.5.*, not .*6\.1/) },
      ]);
    },
  );

  test('is missed if the guest has removed it and has no other', async () => {
    const move = await planned(null);
    run('rm /boot/vmlinuz-6.1');
    expect(await failureOf(() => withKernelNow(move, null, context))).toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining('/boot/vmlinuz-6.1'),
    });
  });

  test('is not looked for if it is a file of the new machine', async () => {
    const move = await planned(GUEST_KERNEL);
    run('rm /boot/vmlinuz-6.1');
    const there = { ...move.there, guestKernel: null };
    expect(await withKernelNow({ ...move, there }, null, context)).toBe(there);
  });
});
