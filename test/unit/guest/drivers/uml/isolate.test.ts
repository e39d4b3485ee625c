import { expect, test } from '@jest/globals';
import { isolateUml } from '../../../../../src/guest/drivers/uml/isolate.ts';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { umlCommandLine } from '../../../../../src/guest/drivers/uml/command-line.ts';

const definition: GuestDefinition = {
  name: 'web',
  driver: 'uml',
  memoryBytes: 64 * 2 ** 20,
  cpuCount: null,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [
    { device: 'ubd0', path: '/srv/guests/web.img', readOnly: false, flags: 's' },
    { device: 'ubd1', path: '/srv/shared/tools.img', readOnly: true },
  ],
  commandLine: [
    'root=/dev/ubda',
    'rw',
    'eth0=tuntap,,,192.168.0.254',
    'eth1=daemon',
    'vec0:transport=raw,ifname=eth0',
    '"eth2=slirp"',
    'vec1=raw,ifname=eth0',
    'con=pts',
    'con1=port:9000',
    'ssl0=tty:/dev/ttyS0',
    'hostfs=/srv',
    'mconsole=notify:/run/socket',
    'virtio_uml.device=/run/vhost.sock:1',
    'virtio-uml.device=/run/vhost.sock:2',
    'iomem=disk,/dev/sda',
    'dtb=/etc/shadow',
    'noapic ubd5=/dev/sda "ubd6=/dev/sdb"',
    'console=tty0',
    'systemd.unit=multi-user.target',
    'quiet',
  ],
};

test('a copy keeps the arguments that it needs to boot, and loses those that reach out of it', () => {
  const copies = ['/tmp/scratch/web.img', undefined];
  const isolated = isolateUml(definition, {
    name: 'vmferry-verify-1',
    copies,
    emptyDirectory: '/tmp/scratch/empty',
  });
  expect(umlCommandLine(isolated)).toEqual([
    'ubd0s=/tmp/scratch/web.img',
    'mem=64M',
    'umid=vmferry-verify-1',
    'root=/dev/ubda',
    'rw',
    'noapic',
    'console=tty0',
    'systemd.unit=multi-user.target',
    'quiet',
    'con=null',
    'con0=null,fd:1',
    'hostfs=/tmp/scratch/empty',
    'noreboot',
  ]);
  expect(isolated.kernel).toBe(definition.kernel);
});
