import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../../../src/failure.ts';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { umlLanguage } from '../../../../../src/guest/drivers/uml/language.ts';
import { xenLanguage } from '../../../../../src/guest/drivers/xen/language.ts';
import { xenFixture, xenFixtures } from '../../../../support/guests/xen-fixtures.ts';

const place = { name: 'web.cfg', directory: '/etc/xen' };
const web: GuestDefinition = {
  name: 'web',
  driver: 'xen',
  memoryBytes: 128 * 2 ** 20,
  cpuCount: 1,
  kernel: '/boot/vmlinuz',
  initrd: null,
  commandLine: ['root=/dev/xvda1', 'ro'],
  console: 'hvc0',
  virtualization: 'pv',
  disks: [{ device: 'xvda1', path: '/dev/vg0/web', readOnly: false, bus: 'xen' }],
};

describe('the language of xl', () => {
  test('a guest from elsewhere becomes a plain file that says everything', () => {
    const cards = [
      { mac: '00:16:3e:00:00:01', model: 'vif', attachedTo: { kind: 'bridge', name: 'xenbr0' } },
    ] as const;
    expect(xenLanguage.write({ ...web, networkCards: cards }))
      .toBe(`# Written by vmferry. xl.cfg(5) explains the settings.
name = "web"
memory = 128
vcpus = 1
type = "pv"
kernel = "/boot/vmlinuz"
cmdline = "root=/dev/xvda1 ro"
disk = [
    "format=raw,vdev=xvda1,access=rw,target=/dev/vg0/web",
]
vif = [
    "mac=00:16:3e:00:00:01,bridge=xenbr0",
]
`);
  });

  test('a file of its own is recognised, and others are not', () => {
    const { accepted } = xenFixtures();
    for (const name of Object.keys(accepted)) {
      const text = xenFixture('accepted', name);
      expect([name, xenLanguage.recognizes(text, 'web.cfg')]).toEqual([name, true]);
      expect(umlLanguage.recognizes(text, 'web.cfg')).toBe(false);
    }
    expect(xenLanguage.recognizes(xenFixture('refused', 'python-import'), 'web')).toBe(true);
    expect(xenLanguage.recognizes(xenFixture('refused', 'crlf'), 'web')).toBe(true);
    const script = `name="web"\nkernel="/usr/bin/linux.uml"\nmemory=128\n$kernel ubd0=/srv/web.img mem=128M umid=$name\n`;
    for (const text of ['', '<domain/>', '{"name": "web"}', script, 'x'.repeat(300_000)])
      expect(xenLanguage.recognizes(text, 'web.cfg')).toBe(false);
  });

  test('what a file says beyond the neutral form is listed with its lines', () => {
    const { definition } = xenLanguage.read(xenFixture('accepted', 'cpus-and-pci'), place);
    expect(definition.native?.beyond).toEqual([
      'line 4: maxmem = 512',
      'line 6: maxvcpus = 4',
      'line 7: cpus = [ "0", "1" ]',
      "line 8: pci = [ '00:1d.0,permissive=1', '0000:03:00.1' ]",
      "line 9: on_crash = 'preserve'",
    ]);
  });

  test('a file that cannot be read is refused with its line', () => {
    expect(() => xenLanguage.read(xenFixture('refused', 'megabytes'), place)).toThrow(
      'The Xen configuration web.cfg cannot be used: line 2: M is neither a key, which has lower-case letters, nor a value.',
    );
    const { problems } = xenLanguage.read(xenFixture('lossy', 'mac-with-blanks'), place);
    expect(problems.map(({ message }) => message)).toEqual([
      'The Xen configuration web.cfg cannot be used: line 4: the network card “mac = 00:16:3e:00:00:01, bridge=br0”: xl ignores “mac = 00:16:3e:00:00:01”.',
    ]);
  });

  test('a kernel that this machine provides is left out', () => {
    const { definition } = xenLanguage.read(xenLanguage.write({ ...web, kernel: null }), place);
    expect({ ...definition, native: null }).toEqual({ ...web, kernel: null, native: null });
    expect(xenLanguage.read(xenLanguage.write({ ...definition, name: 'mail' }), place).definition.name).toBe(
      'mail',
    );
  });

  test.each<[string, Partial<GuestDefinition>]>([
    ['an image format', { disks: [{ device: 'xvda', path: '/a', readOnly: false, format: 'vmdk' }] }],
    ['a path that ends with a comma', { disks: [{ device: 'xvda', path: '/a,', readOnly: false }] }],
    ['a network of libvirt', { networkCards: [{ attachedTo: { kind: 'network', name: 'default' } }] }],
    ['a floppy drive', { drives: [{ device: 'fda', kind: 'floppy', path: null }] }],
  ])('%s that xl has no word for is refused', (_, fields) => {
    expect(() => xenLanguage.write({ ...web, ...fields })).toThrow(Failure);
  });
});
