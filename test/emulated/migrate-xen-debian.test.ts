import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bootReportOf, type BootReport } from '../rigs/debian-guest/boot-report.ts';
import {
  copyDebianGuest,
  DEBIAN_GUEST_BYTES,
  debianGuestMissing,
} from '../rigs/debian-guest/debian-guest.ts';
import { guestKernel } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt } from '../rigs/libvirt/libvirt-lab.ts';
import { startNeighbour } from '../rigs/xen/neighbour.ts';
import { xenMissing } from '../rigs/xen/start-xen.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import { startUmlBesideXen, type UmlBesideXen } from '../support/guests/uml-beside-xen.ts';
import { bootUmlGuest } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { runTool } from '../support/images/images.ts';
import { resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';

const slowMs = 20 * 60_000;
const slow = ['--boot-timeout', '600', '--halt-timeout', '300'];
/** Of the CPU time of the machine with Xen. */
const moveCpuSeconds = 900;
const bootCpuSeconds = 400;

const missing =
  umlMissing() ??
  xenMissing() ??
  debianGuestMissing() ??
  libvirtMissing() ??
  networkLabMissing() ??
  toolsMissing('sfdisk', 'debugfs', 'e2fsck');

describeUnless(missing, 'a running Debian guest of Xen', () => {
  let machines: UmlBesideXen;

  beforeAll(async () => {
    machines = await startUmlBesideXen({
      partitions: `start=2048, size=${DEBIAN_GUEST_BYTES / 512}\n`,
      fill: writeSystemdGuest,
    });
  }, slowMs);

  afterAll(async () => {
    await machines?.[Symbol.asyncDispose]();
  });

  /** The machine with libvirt, while the guest runs there. */
  interface Arrived {
    image: string;
    vmferry: (args: readonly string[]) => Promise<{ exitStatus: number | null; stderr: string }>;
  }

  /** Moves it from dom0 to libvirt with one command, and returns what it said of its boot there. */
  async function moveToLibvirt(
    name: string,
    card: string,
    atEnd: (arrived: Arrived) => Promise<void> = () => Promise.resolve(),
  ): Promise<BootReport> {
    const { dom0 } = machines;
    await using lab = await startLibvirt();
    await using home = await startNeighbour(dom0, { LIBVIRT_DEFAULT_URI: lab.uri });
    const { kernel, initrd } = await guestKernel();
    const image = join(home.images, `${name}.img`);
    const as = ['--as', 'libvirt', '--kernel', kernel, '--initrd', initrd];
    const places = ['--disk', `root=${image}`, '--network', 'eth0=user'];
    const argv = ['migrate', name, ...home.targetArguments, ...as, ...places, ...slow, '--json'];
    const moved = resultOf(await dom0.attempt('vmferry', argv, { cpuSeconds: moveCpuSeconds }));
    expect(moved).toMatchObject({ type: 'moved', guest: name, as: 'libvirt' });
    expect((await lab.virsh('list', '--name')).stdout.trim()).toBe(name);
    const console = () => home.consoleOf(name);
    await eventually(
      `${name} is up`,
      slowMs,
      () => /REPORT end/.test(console()) && console().includes('umlguest login:'),
    );
    const report = bootReportOf(console());
    expect(report).toMatchObject({ cards: `${card} lo`, root: 'rw' });
    expect(report.address).toContain('10.0.2.15');
    await atEnd({ image, vmferry: (args) => home.vmferry(args) });
    // If it still runs.
    await lab.virsh('destroy', name);
    return report;
  }

  test(
    'with systemd runs on under libvirt as before: no unit fails that had not failed before, and nothing waits',
    async () => {
      const { dom0 } = machines;
      const { kernel, initrd } = dom0.guestKernel;
      const config = [
        'name = "modern"',
        'memory = 192',
        `kernel = "${kernel}"`,
        `ramdisk = "${initrd}"`,
        'cmdline = "root=/dev/xvda rw console=hvc0"',
        'disk = [ "phy:/dev/vdc1,xvda,w" ]',
        'vif = [ "mac=00:16:3e:00:00:80,bridge=xenbr0" ]',
      ];
      await dom0.write('/etc/xen/modern.cfg', config.join('\n'));
      await dom0.run('xl', ['create', '-q', '/etc/xen/modern.cfg']);
      const before = bootReportOf(await dom0.waitForGuest('modern', 'REPORT end', bootCpuSeconds));
      expect(before).toMatchObject({ cards: 'enX0 lo', root: 'rw' });
      const after = await moveToLibvirt('modern', 'enX0');
      expect(after.failed.filter((unit) => !before.failed.includes(unit))).toEqual([]);
      expect(after.running).toBe('');
      // The swap that is not there. Only the kernel's command line, which masks it, names it.
      expect(after.console.replaceAll(/.*ommand line: .*/g, '')).not.toMatch(/xvdb/);
    },
    slowMs,
  );

  test(
    'with sysvinit, which came from User Mode Linux onto a partition, moves on to libvirt',
    async () => {
      const { dom0, directory, umlDir, moveToXen } = machines;
      const path = join(directory, 'story.img');
      await copyDebianGuest('sysvinit', path);
      const { stop } = await bootUmlGuest({
        image: path,
        name: 'story',
        umlDir,
        memoryBytes: 192 * 2 ** 20,
        extraArgs: ['eth0=daemon,00:16:3e:00:00:79'],
        upText: /REPORT end/,
        timeoutMs: slowMs,
      });
      await using _ = { [Symbol.asyncDispose]: stop };
      // The partition still has the guest that moved away.
      await moveToXen('story', 'dom0', '--disk', 'root=/dev/vdc1', '--overwrite', ...slow);
      const inXen = bootReportOf(await dom0.waitForGuest('story', 'REPORT end', bootCpuSeconds));
      expect(inXen).toMatchObject({ cards: 'eth0 lo', root: 'rw', former: '/dev/xvda' });
      expect(inXen.getty).toContain('hvc0');
      expect(inXen.address).toContain('10.0.2.');
      const inLibvirt = await moveToLibvirt('story', 'eth0', async ({ image, vmferry }) => {
        const { exitStatus, stderr } = await vmferry(['halt', 'story', '--halt-timeout', '300']);
        if (exitStatus !== 0) throw new Error(`it does not halt: ${stderr}`);
        runTool('e2fsck', ['-fn', image]);
      });
      expect(inLibvirt).toMatchObject({ former: '/dev/vda' });
      expect(inLibvirt.getty).toContain('ttyS0');
    },
    2 * slowMs,
  );
});

/** Writes a guest with systemd into the first partition, with the names that Xen's disks and udev's cards have. */
async function writeSystemdGuest(extraDisk: string): Promise<void> {
  const image = `${extraDisk}.guest`;
  await copyDebianGuest('systemd', image);
  for (const [path, change] of [
    ['/etc/fstab', 's,/dev/ubd,/dev/xvd,'],
    ['/etc/network/interfaces', 's,eth0,enX0,'],
  ] as const) {
    const [file, commands] = [`${extraDisk}.file`, `${extraDisk}.commands`];
    runTool('debugfs', ['-R', `dump ${path} ${file}`, image]);
    runTool('sed', ['-i', change, file]);
    await writeFile(commands, `rm ${path}\nwrite ${file} ${path}\n`);
    runTool('debugfs', ['-w', '-f', commands, image]);
    await Promise.all([rm(file), rm(commands)]);
  }
  runTool('dd', [`if=${image}`, `of=${extraDisk}`, 'bs=1M', 'seek=1', 'conv=notrunc,sparse']);
  await rm(image);
}
