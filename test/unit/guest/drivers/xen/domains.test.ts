import { describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseInfo } from '../../../../../src/guest/drivers/xen/check.ts';
import { findOwnKernel } from '../../../../../src/guest/drivers/xen/complete.ts';
import { readXenConfig } from '../../../../../src/guest/drivers/xen/config/read.ts';
import {
  isProbe,
  parseDomains,
  parseStates,
  type DomainConfig,
} from '../../../../../src/guest/drivers/xen/host/domains.ts';
import { createXenDriver } from '../../../../../src/guest/drivers/xen/driver.ts';
import { xenHost } from '../../../../../src/guest/drivers/xen/host/host.ts';
import {
  definitionOfDomain,
  runningDefinition,
} from '../../../../../src/guest/drivers/xen/running-definition.ts';
import { codeOf } from '../../../../support/failures.ts';
import { fakeDefinition } from '../../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

const table = `Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   512     1     r-----     270.3
busy                                         2   128     1     -b----      45.2
a name 9 9 9 r----- 1.0                     17  1024    12     --ps--    1045
`;

const busy: DomainConfig = {
  c_info: { type: 'pv', name: 'busy', uuid: 'f2345ed6-85f2-456f-aef2-ffe1be9b3a69' },
  b_info: {
    max_vcpus: 1,
    avail_vcpus: [0],
    max_memkb: 131_072,
    target_memkb: 131_072,
    kernel: '/boot/vmlinux',
    cmdline: 'root=/dev/xvda ro console=hvc0',
    ramdisk: '/boot/initrd.gz',
  },
  disks: [{ pdev_path: '/srv/guest.img', vdev: 'xvda', format: 'raw', readwrite: 1 }],
  nics: [{ mac: '00:16:3e:2c:6f:2c', bridge: 'xenbr0', nictype: 'vif' }],
};

const file = `name = "busy" # a file
memory = 128
kernel = "/boot/vmlinux"
ramdisk = "/boot/initrd.gz"
extra = "root=/dev/xvda ro console=hvc0"
disk = [ 'file:/srv/guest.img,xvda,w' ]
vif = [ 'bridge=xenbr0' ]
cpus = "0"
`;

describe('the domains that xl lists', () => {
  test('the table is read from the right, and Domain-0 is left out', () => {
    expect([...parseStates(table)]).toEqual([
      [2, { state: 'b', cpuSeconds: 45.2 }],
      [17, { state: 'ps', cpuSeconds: 1045 }],
    ]);
  });

  test('a domain whose configuration is not understood is left out', async () => {
    const list = [
      { domid: 0, config: { c_info: { name: 'Domain-0' } } },
      { domid: 2, config: busy },
      { domid: 3, config: null },
    ];
    expect(parseDomains(JSON.stringify(list))).toEqual([{ domid: 2, config: busy }]);
    expect(await codeOf(() => parseDomains('[{'))).toBe('hypervisor-missing');
    expect(await codeOf(() => parseDomains('{}'))).toBe('hypervisor-missing');
  });

  test('a domain without disks that is called like a probe is one; a guest with disks is listed under any name', () => {
    const named = (name: string, disks: DomainConfig['disks']): DomainConfig => ({
      ...busy,
      c_info: { ...busy.c_info, name },
      disks,
    });
    expect(isProbe(named('vmferry-probe-1-1', undefined))).toBe(true);
    expect(isProbe(named('vmferry-probe-1-1', []))).toBe(true);
    expect(isProbe(named('vmferry-probe-1-1', busy.disks))).toBe(false);
    expect(isProbe(named('web', []))).toBe(false);
  });

  test('a running guest that says what its file says is what its file says', () => {
    const running = definitionOfDomain(busy)?.definition ?? null;
    const { definition } = readXenConfig(file);
    if (running === null || definition === null) throw new Error('no definition');
    expect(runningDefinition(running, { path: '/etc/xen/busy.cfg', definition })).toBe(definition);
    expect(definition.native?.beyond).toEqual(['line 8: cpus = "0"']);
  });

  test('a running guest that differs from its file is what runs, and the doubt is told', () => {
    const running = definitionOfDomain(busy)?.definition ?? null;
    const { definition } = readXenConfig(file.replace('guest.img', 'other.img'));
    if (running === null || definition === null) throw new Error('no definition');
    const found = runningDefinition(running, { path: '/etc/xen/busy.cfg', definition });
    expect(found).toMatchObject({
      name: 'busy',
      memoryBytes: 128 * 2 ** 20,
      uuid: busy.c_info.uuid,
      disks: [{ device: 'xvda', path: '/srv/guest.img', readOnly: false }],
      networkCards: [{ mac: '00:16:3e:2c:6f:2c', attachedTo: { kind: 'bridge', name: 'xenbr0' } }],
    });
    expect(found.native?.beyond).toEqual([
      'the running guest differs from /etc/xen/busy.cfg: what it has besides is unknown',
    ]);
    expect(readXenConfig(found.native?.text ?? '').definition?.disks).toEqual(found.disks);
  });

  test('a running guest with a disk that is no path is not taken for one without the disk', () => {
    const disks = [{ pdev_path: 'vg/unknown', vdev: 'xvda', format: 'raw', readwrite: 1 }];
    const { unsupported } = definitionOfDomain({ ...busy, disks }) ?? {};
    expect(unsupported).toMatchObject({ code: 'guest-unsupported' });
    expect(definitionOfDomain(busy)?.unsupported).toBeNull();
  });

  test('what xl says about the machine is read', () => {
    const info = parseInfo(
      'free_memory            : 498\nvirt_caps              : pv hvm\nxen_changeset          : \n',
    );
    expect(Object.fromEntries(info)).toEqual({ free_memory: '498', virt_caps: 'pv hvm', xen_changeset: '' });
  });
});

describe('a machine without Xen', () => {
  test('has no guests of it, and says what is missing', async () => {
    using scratch = scratchDirectory();
    const driver = createXenDriver({ PATH: scratch.path }, { ...xenHost({}), configDirectory: scratch.path });
    const context = { signal: new AbortController().signal, report: () => undefined };
    expect(await driver.list(context)).toEqual([]);
    const [problem] = await driver.checkBootable(
      {
        name: 'web',
        driver: 'xen',
        memoryBytes: null,
        cpuCount: null,
        kernel: null,
        initrd: null,
        disks: [],
        commandLine: [],
      },
      context,
    );
    expect(problem).toMatchObject({ code: 'hypervisor-missing' });
  });
});

test('a guest that is called like a domain with which Xen is tried is refused', async () => {
  const context = { signal: new AbortController().signal, report: () => undefined };
  const problemsOf = (name: string) =>
    createXenDriver({}).checkBootable(
      fakeDefinition(name, [], { driver: 'xen', kernel: '/etc/hosts' }),
      context,
    );
  const refusal = {
    code: 'guest-unsupported',
    message: expect.stringContaining('A guest of Xen cannot be called vmferry-probe-1-1') as unknown,
  };
  expect(await problemsOf('vmferry-probe-1-1')).toContainEqual(expect.objectContaining(refusal));
  expect(await problemsOf('vmferry-probe-web')).not.toContainEqual(expect.objectContaining(refusal));
});

describe('this machine’s own kernel', () => {
  test.each<[string, Record<string, string>, string | null, string | null]>([
    ['nothing is there', {}, null, null],
    [
      'the newest one counts',
      {
        'vmlinuz-6.1.0-9-amd64': '',
        'initrd.img-6.1.0-9-amd64': '',
        'vmlinuz-6.1.0-10-amd64': '',
        'initrd.img-6.1.0-10-amd64': '',
      },
      'vmlinuz-6.1.0-10-amd64',
      'initrd.img-6.1.0-10-amd64',
    ],
    [
      'one that cannot use Xen’s disks is passed over',
      {
        'vmlinuz-6.2': '',
        'initrd.img-6.2': '',
        'config-6.2': '# CONFIG_XEN_BLKDEV_FRONTEND is not set\n',
        'vmlinuz-6.1': '',
        'config-6.1': 'CONFIG_XEN_BLKDEV_FRONTEND=y\n',
      },
      'vmlinuz-6.1',
      null,
    ],
    [
      'a driver that is a module needs an initial RAM disk',
      { 'vmlinuz-6.1': '', 'config-6.1': 'CONFIG_XEN_BLKDEV_FRONTEND=m\n' },
      null,
      null,
    ],
    [
      'the hypervisor is no kernel',
      { 'xen-4.17-amd64.gz': '', vmlinuz: '', 'initrd.img': '' },
      'vmlinuz',
      'initrd.img',
    ],
  ])('%s', (_, files, kernel, initrd) => {
    using scratch = scratchDirectory();
    const directory = join(scratch.path, 'boot');
    mkdirSync(directory);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    const found = findOwnKernel(directory);
    expect(found?.kernel ?? null).toBe(kernel === null ? null : join(directory, kernel));
    expect(found?.initrd ?? null).toBe(initrd === null ? null : join(directory, initrd));
  });
});
