import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EXTRA_DISK_BYTES } from '../rigs/xen/machine.ts';
import { makeBlankDisk } from '../rigs/xen/program-disk.ts';
import { startXen, xenMissing, type Dom0 } from '../rigs/xen/start-xen.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  isFileSystemClean,
  type GuestImage,
} from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../support/guests/uml-processes.ts';
import { vmferry } from '../support/programs/command-line.ts';
import { describeUnless } from '../support/programs/tools.ts';

const slowMs = 10 * 60_000;
const address = '10.0.2.77';
const mac = '00:16:3e:00:00:07';

describeUnless(umlMissing() ?? xenMissing(), 'a guest of User Mode Linux moves to Xen', () => {
  let directory: string;
  let environment: NodeJS.ProcessEnv;
  let dom0: Dom0;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-to-xen-'));
    const [umlDir, home] = [join(directory, 'uml'), join(directory, 'home')];
    for (const path of [umlDir, home]) await mkdir(path);
    environment = { UML_DIR: umlDir, VMFERRY_STATE_DIR: join(directory, 'state'), HOME: home };
    const extraDisk = join(directory, 'extra.img');
    await makeBlankDisk(extraDisk, EXTRA_DISK_BYTES);
    dom0 = await startXen({ extraDisk });
    // A first start takes twice as long as later ones, and a move waits only 2 minutes for it.
    await dom0.run('vmferry', ['--version']);
  }, slowMs);

  afterAll(async () => {
    await dom0?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** A guest that runs under User Mode Linux on this machine, for the first time. */
  async function bootHere(name: string): Promise<GuestImage & AsyncDisposable> {
    const path = join(directory, `${name}.img`);
    const network = { hostName: name, address: `${address}/24` };
    const image = await buildGuestImage({ path, network, onCtrlAltDel: 'quick-poweroff' });
    const { stop } = await bootUmlGuest({
      image: path,
      name,
      umlDir: environment['UML_DIR'] ?? '',
      extraArgs: [`eth0=daemon,${mac}`],
    });
    return { ...image, [Symbol.asyncDispose]: stop };
  }

  async function moveToXen(name: string, to: string, ...options: string[]): Promise<object> {
    const there = ['--to', to, '-F', dom0.sshConfigFile, '--as', 'xen', '--network', 'eth0=xenbr0'];
    const { exitStatus, stdout, stderr } = await vmferry(
      ['migrate', name, ...there, ...options, '--json'],
      environment,
    );
    if (exitStatus !== 0) throw new Error(`${stdout}${stderr}${await dom0.guestConsole(name)}`);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as object;
  }

  /** It runs there and nowhere else, and its image here is as the guest left it. */
  async function expectMoved(name: string, image: GuestImage): Promise<void> {
    await dom0.waitForGuest(name, 'GUEST-UP boots=2');
    expect(await dom0.answerOf(address)).toBe(`${name} boots=2 ${mac}`);
    expect(umlProcessesOf(name, environment['UML_DIR'] ?? '')).toEqual([]);
    expect(await guestBootCount(image.path)).toBe(1);
    expect(await isFileSystemClean(image.path)).toBe(true);
    expect(await damagedGuestFiles(image.path, image.files)).toEqual([]);
  }

  async function haltThere(name: string): Promise<void> {
    await dom0.run('vmferry', ['halt', name]);
    await dom0.waitUntilGone(name);
  }

  test(
    'onto a partition, and runs there as before',
    async () => {
      await using web = await bootHere('web');
      const report = await moveToXen('web', 'dom0', '--disk', 'root=/dev/vdc');
      expect(report).toMatchObject({ type: 'moved', guest: 'web' });
      await expectMoved('web', web);
      await haltThere('web');
      expect(await guestBootCount(dom0.extraDisk)).toBe(2);
      expect(await damagedGuestFiles(dom0.extraDisk, web.files)).toEqual([]);
      expect(await isFileSystemClean(dom0.extraDisk)).toBe(true);
    },
    slowMs,
  );
});
