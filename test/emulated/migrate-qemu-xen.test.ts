import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { guestKernel } from '../rigs/kernel/guest-kernel.ts';
import { EXTRA_DISK_BYTES } from '../rigs/xen/machine.ts';
import { startNeighbour, type Neighbour } from '../rigs/xen/neighbour.ts';
import { makeBlankDisk } from '../rigs/xen/program-disk.ts';
import { startXen, xenMissing, type Dom0 } from '../rigs/xen/start-xen.ts';
import { powerButton, secondDisk } from '../support/guests/guest-programs.ts';
import {
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  isFileSystemClean,
  type GuestImage,
} from '../support/guests/uml-guest.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import { runTool } from '../support/images/images.ts';
import { resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';

function words(text: string): string[] {
  return text.trim().split(/\s+/).toSorted();
}

/** On a busy machine, an emulated one takes many times as long. */
const slowMs = 40 * 60_000;
/** Of the CPU time of the machine with Xen. */
const limits = { cpuSeconds: 400 };
const slowBoot = ['--boot-timeout', '300'];
const address = '10.0.2.77';
const mac = '00:16:3e:00:00:07';

const missing = xenMissing() ?? networkLabMissing() ?? toolsMissing('sfdisk');

describeUnless(missing, 'a guest with two disks', () => {
  let directory: string;
  let dom0: Dom0;
  let home: Neighbour;
  let next: Neighbour;
  let root: GuestImage;
  let data: GuestImage;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-qemu-xen-'));
    const extraDisk = join(directory, 'extra.img');
    await makeBlankDisk(extraDisk, EXTRA_DISK_BYTES);
    runTool('sfdisk', ['-q', extraDisk], 'start=2048, size=65536\n');
    dom0 = await startXen({ extraDisk });
    await dom0.run('partx', ['-a', '/dev/vdc']);
    // A first start takes twice as long as later ones, and a move waits only 2 minutes for it.
    await dom0.run('vmferry', ['--version']);
    home = await startNeighbour(dom0);
    next = await startNeighbour(dom0);
    root = await buildGuestImage({
      path: join(home.images, 'web.img'),
      network: { hostName: 'web', address: `${address}/24` },
      onCtrlAltDel: 'quick-poweroff',
      programs: [powerButton, secondDisk],
    });
    data = await buildGuestImage({ path: join(home.images, 'data.img'), sizeBytes: 32 * 2 ** 20 });
  }, slowMs);

  afterAll(async () => {
    await next?.[Symbol.asyncDispose]();
    await home?.[Symbol.asyncDispose]();
    await dom0?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const inDom0 = async (...args: string[]) =>
    resultOf(await dom0.attempt('vmferry', [...args, '--json'], limits));

  /** Both disks of the guest, which no guest uses, were as often booted from and are undamaged. */
  async function expectDisks(place: string, boots: number): Promise<void> {
    for (const [name, { files }] of [
      ['web.img', root],
      ['data.img', data],
    ] as const) {
      const path = join(place, name);
      expect([path, await guestBootCount(path)]).toEqual([path, boots]);
      expect(await damagedGuestFiles(path, files)).toEqual([]);
      expect([path, await isFileSystemClean(path)]).toEqual([path, true]);
    }
  }

  test(
    'moves from QEMU to Xen, from there to QEMU of a third machine, each after a rehearsal, and each move is taken back',
    async () => {
      const { kernel, initrd } = await guestKernel();
      const disk = { readOnly: false, bus: 'virtio' } as const;
      const definition: GuestDefinition = {
        name: 'web',
        driver: 'qemu',
        memoryBytes: 160 * 2 ** 20,
        cpuCount: 1,
        kernel,
        initrd,
        disks: [
          { ...disk, device: 'vda', path: root.path },
          { ...disk, device: 'vdb', path: data.path },
        ],
        // On a busy machine the kernel's test of its timer fails now and then.
        commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0', 'panic=-1', 'no_timer_check'],
        networkCards: [{ mac, model: 'virtio-net-pci', attachedTo: { kind: 'user' } }],
        console: 'ttyS0',
      };
      await home.start(definition);
      await eventually('web is up', slowMs, () => home.consoleOf('web').includes('GUEST-UP boots=1'));

      const toXen = ['--to', `${dom0.alias}:/srv/guests`, '-F', dom0.sshConfigFile, '--as', 'xen'];
      const network = ['--network', 'eth0=xenbr0'];
      const rehearsed = await home.vmferry(['rehearse', 'web', ...toXen, ...network, ...slowBoot, '--json']);
      expect(resultOf(rehearsed)).toMatchObject({ type: 'rehearsed', guest: 'web', as: 'xen' });
      expect(await home.guests()).toMatchObject([{ definition: { name: 'web' } }]);
      expect(await dom0.run('xl', ['list'])).not.toContain('rehears');
      const leftByRehearsal = ['data.img', 'web.img'].flatMap((name) => [
        `${name}.partial`,
        `${name}.partial.vmferry`,
      ]);
      expect(words(await dom0.run('ls', ['-A', '/srv/guests']))).toEqual(leftByRehearsal);
      // The move puts the second disk elsewhere.
      await dom0.run('sh', ['-c', 'rm /srv/guests/data.img.partial*']);

      const places = [...network, '--disk', 'vdb=/dev/vdc1'];
      const there = await home.vmferry(['migrate', 'web', ...toXen, ...places, ...slowBoot, '--json']);
      expect(resultOf(there)).toMatchObject({ type: 'moved', guest: 'web', as: 'xen' });
      await dom0.waitForGuest('web', 'GUEST-UP boots=2');
      expect(await dom0.answerOf(address)).toBe(`web boots=2 ${mac}`);
      expect(await home.guests()).toEqual([]);
      await expectDisks(home.images, 1);

      const asQemu = ['--as', 'qemu', '--kernel', kernel, '--initrd', initrd];
      const onTap = ['--network', `eth0=tap:${next.tap}`, '--disk', `xvdb=${join(next.images, 'data.img')}`];
      const toQemu = ['web', ...next.targetArguments, ...asQemu, ...onTap, ...slowBoot];
      expect(await inDom0('rehearse', ...toQemu, '--pause')).toMatchObject({ type: 'rehearsed', as: 'qemu' });
      expect(await dom0.run('xl', ['list'])).toMatch(/^web /m);
      expect(await next.guests()).toEqual([]);
      expect(readdirSync(next.images).toSorted()).toEqual(leftByRehearsal);

      const moved = await inDom0('migrate', ...toQemu);
      expect(moved).toMatchObject({ type: 'moved', guest: 'web', as: 'qemu' });
      const answer = `web boots=3 ${mac}`;
      await eventually('web answers', slowMs, async () => (await next.answerOf(address)) === answer);
      expect(await dom0.run('xl', ['list'])).not.toMatch(/^web /m);
      await dom0.run('sync');
      expect(await guestBootCountInDom0()).toBe(2);

      expect(await inDom0('revert', 'web', ...slowBoot)).toMatchObject({
        type: 'reverted',
        wasRunningThere: true,
      });
      await dom0.waitForGuest('web', 'GUEST-UP boots=3');
      expect(await dom0.answerOf(address)).toBe(answer);
      expect(await next.guests()).toEqual([]);
      await expectDisks(next.images, 3);

      const back = await home.vmferry(['revert', 'web', ...slowBoot, '--json']);
      expect(resultOf(back)).toMatchObject({ type: 'reverted', wasRunningThere: true });
      await eventually('web is up', slowMs, () => home.consoleOf('web').includes('GUEST-UP boots=2'));
      resultOf(await home.vmferry(['halt', 'web', '--json']));
      await expectDisks(home.images, 2);
    },
    slowMs,
  );

  async function guestBootCountInDom0(): Promise<number> {
    return Number(await dom0.run('debugfs', ['-R', 'cat /boots', '/srv/guests/web.img']));
  }
});
