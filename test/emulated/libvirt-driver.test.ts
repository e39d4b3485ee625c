import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Context, Event } from '../../src/events.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { libvirtLanguage } from '../../src/guest/drivers/libvirt/language.ts';
import { writeDomain } from '../../src/guest/drivers/libvirt/domain/write-domain.ts';
import { poll } from '../../src/pipeline/polling.ts';
import { run } from '../../src/system/processes.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { codeOf, failureOf } from '../support/failures.ts';
import { LabGuests, emulated, plain } from '../support/guests/libvirt-guests.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const { signal } = new AbortController();
let events: Event[] = [];
const context: Context = { signal, report: (event) => events.push(event) };
beforeEach(() => {
  events = [];
});

describe('a machine without libvirt', () => {
  test.each([
    ['has no virsh', { PATH: '/nowhere' }, /virsh is not installed/, 'hypervisor-missing'],
    [
      'names another one',
      { LIBVIRT_DEFAULT_URI: 'qemu+ssh://root@new/system' },
      /another machine/,
      'guest-unsupported',
    ],
    [
      'names another hypervisor',
      { LIBVIRT_DEFAULT_URI: 'xen:///system' },
      /names no QEMU/,
      'guest-unsupported',
    ],
  ])('that %s has no guests, and the check says why', async (_, environment, message, kept) => {
    const driver = createLibvirtDriver(environment);
    expect(await driver.list(context)).toEqual([]);
    expect(await driver.listKept(context)).toEqual([]);
    expect(await driver.checkBootable(plain('web', '/srv/web.img'), context)).toMatchObject([
      { code: 'hypervisor-missing', message: expect.stringMatching(message) },
    ]);
    expect(await codeOf(() => driver.keep(plain('web', '/srv/web.img'), context))).toBe(kept);
  });

  test('that has a libvirt that does not answer may have guests, and the check says why', async () => {
    const uri = 'qemu+unix:///system?socket=/nowhere/libvirt-sock';
    const driver = createLibvirtDriver({ ...process.env, LIBVIRT_DEFAULT_URI: uri });
    expect(await codeOf(() => driver.list(context))).toBe('hypervisor-missing');
    expect(await codeOf(() => driver.listKept(context))).toBe('hypervisor-missing');
    const message = toolsMissing('virsh') === null ? '/nowhere/libvirt-sock' : 'not installed';
    expect(await driver.checkBootable(plain('web', '/srv/web.img'), context)).toMatchObject([
      { code: 'hypervisor-missing', message: expect.stringContaining(message) },
    ]);
    expect(await codeOf(() => driver.keep(plain('web', '/srv/web.img'), context))).toBe('hypervisor-missing');
  });
});

describeUnless(libvirtMissing() ?? toolsMissing('qemu-img', 'swtpm', 'swtpm_setup'), 'with a libvirt', () => {
  let lab: LibvirtLab;
  let driver: ReturnType<typeof createLibvirtDriver>;
  const scratch = scratchDirectory();
  const image = (name: string) => {
    const path = join(scratch.path, `${name}.img`);
    writeFileSync(path, Buffer.alloc(2 ** 20));
    return path;
  };
  const keep = async (name: string, rest: Partial<GuestDefinition> = {}) => {
    const definition = emulated(plain(name, image(name), rest));
    await driver.keep(definition, context);
    return definition;
  };
  let guests: LabGuests;

  beforeAll(async () => {
    lab = await startLibvirt();
    driver = createLibvirtDriver(lab.environment);
    guests = new LabGuests(lab, driver);
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  test('each fixture, as a plain domain, is accepted by libvirt and its schema', async () => {
    const directory = join(import.meta.dirname, '../../fixtures/definitions/libvirt');
    for (const file of readdirSync(directory)) {
      const text = readFileSync(join(directory, file), 'utf8');
      const { native, machineType, cpuModel, firmware, ...rest } = libvirtLanguage.read(text, {
        name: file,
        directory,
      }).definition;
      // This machine need not have these.
      void [native, machineType, cpuModel, firmware];
      const disks = rest.disks.filter(({ purpose }) => purpose === undefined);
      await driver.keep(emulated({ ...rest, disks }), context);
      const kept = await guests.known(rest.name);
      expect(kept?.definition).toMatchObject({ name: rest.name, disks });
      expect(kept?.unsupported).toBeUndefined();
      await driver.drop(rest as GuestDefinition, context);
    }
    expect(events).toEqual([]);
  });

  test('two libvirts run side by side, and each has its own guests', async () => {
    await using other = await startLibvirt();
    await keep('here');
    const there = createLibvirtDriver(other.environment);
    expect(await there.listKept(context)).toEqual([]);
    await there.keep(emulated(plain('here', image('there'))), context);
    expect((await guests.known('here'))?.definition.disks[0]?.path).toContain('here.img');
  });

  test('a disk in a pool has the path of its volume; the snapshots of a guest are found, and its topmost image', async () => {
    await guests.virsh('pool-create-as', 'pool', 'dir', `--target=${scratch.path}`);
    const path = join(scratch.path, 'snap.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    await guests.virsh('pool-refresh', 'pool');
    const definition = plain('snap', path);
    const text = writeDomain(definition, 'qemu')
      .replace(/<disk type="file"/, '<disk type="volume"')
      .replace(/<source [^>]*>/, '<source pool="pool" volume="snap.qcow2"/>')
      .replace('type="raw"', 'type="qcow2"');
    const file = join(scratch.path, 'snap.xml');
    writeFileSync(file, text);
    await guests.virsh('define', file);
    const before = await guests.known('snap');
    expect(before?.unsupported).toBeUndefined();
    expect(before?.definition.disks).toEqual([
      { device: 'vda', path, readOnly: false, format: 'qcow2', bus: 'virtio' },
    ]);
    expect(await driver.checkBootable(before?.definition ?? definition, context)).toEqual([]);

    await guests.virsh('undefine', 'snap');
    await driver.keep(emulated({ ...definition, disks: before?.definition.disks ?? [] }), context);
    await guests.virsh('snapshot-create-as', 'snap', 'inner');
    await guests.virsh('snapshot-create-as', 'snap', 'outer', '--disk-only');
    const after = await guests.known('snap');
    expect(after?.definition.disks).toMatchObject([
      { path: join(scratch.path, 'snap.outer'), format: 'qcow2' },
    ]);
    expect(after?.unsupported).toBeUndefined();
    expect(after?.earlierStates?.text).toBe(
      'inner (inside its images), outer (in files that its images build on)',
    );
    expect(after?.earlierStates?.insideImages).toEqual(['inner']);
    expect(String(after?.earlierStates?.forget)).toContain('virsh snapshot-delete snap inner --metadata');
  });

  test('what is missing, or of another guest, is found before a start', async () => {
    await keep('owner', {
      uuid: '4dea22b3-1d52-4f3a-8a1c-0123456789ff',
      networkCards: [{ mac: '52:54:00:00:00:aa', attachedTo: { kind: 'user' } }],
    });
    const codes = async (rest: Partial<GuestDefinition>, native = true) => {
      const definition = plain('new', image('new'), rest);
      const problems = await driver.checkBootable(native ? emulated(definition) : definition, context);
      return problems.map(({ code, message }) => `${code}: ${message}`);
    };
    const owner = (await guests.known('owner'))?.definition;
    expect(await codes({})).toEqual([]);
    expect(await codes({ uuid: owner?.uuid ?? '' })).toEqual([
      'target-exists: The UUID of new is that of owner here.',
    ]);
    expect(await codes({ disks: owner?.disks ?? [] })).toEqual([
      expect.stringMatching(/^image-in-use: .*owner/),
    ]);
    expect(await codes({ machineType: 'pc-0.12' })).toEqual([
      expect.stringMatching(/machine type pc-0.12 here: .*not supported/),
    ]);
    expect(await codes({ cpuModel: 'Pentium9' })).toEqual([expect.stringMatching(/processor Pentium9/)]);
    expect(
      await codes({
        kernel: '/nowhere/vmlinuz',
        initrd: '/nowhere/initrd',
        networkCards: [
          { attachedTo: { kind: 'bridge', name: 'br-nowhere' } },
          { attachedTo: { kind: 'network', name: 'nowhere' } },
        ],
      }),
    ).toEqual([
      "hypervisor-missing: The guest's kernel /nowhere/vmlinuz is not here.",
      "hypervisor-missing: The guest's initial RAM disk /nowhere/initrd is not here.",
      'hypervisor-missing: The bridge br-nowhere is not here.',
      'hypervisor-missing: The network nowhere of libvirt is not here.',
    ]);
    const twin = { ...plain('owner', image('twin')), uuid: '4dea22b3-1d52-4f3a-8a1c-0123456789fe' };
    expect(await driver.checkBootable(emulated(twin), context)).toMatchObject([{ code: 'target-exists' }]);
  });

  test('a domain of KVM is refused without KVM, also while its kernel is still on its disk', async () => {
    const [kernel, initrd] = ['/nowhere/vmlinuz', '/nowhere/initrd'];
    const found = async (rest: Partial<GuestDefinition>, coming: string[] = []) => {
      const guest = plain('fast', image('fast'), rest);
      const definition = { ...guest, native: { text: writeDomain(guest, 'kvm'), beyond: [] } };
      const problems = await driver.checkBootable(definition, context, true, coming);
      return problems.map(({ message }) => message);
    };
    const withoutKernel = await found({});
    expect(withoutKernel.filter((message) => !message.startsWith('fast runs with KVM'))).toEqual([]);
    expect(await found({ boot: 'kernel', kernel, initrd }, [kernel, initrd])).toEqual(withoutKernel);
    expect(await found({ boot: 'kernel', kernel, initrd }, [kernel])).toEqual([
      "The guest's initial RAM disk /nowhere/initrd is not here.",
    ]);
  });

  test.each([
    '<interface type="user"><rom file="/nowhere/file"/></interface>',
    '<channel type="unix"><source mode="connect" path="/nowhere/file"/><target type="virtio" name="org.example"/></channel>',
    '<hostdev mode="subsystem" type="scsi"><source><adapter name="scsi_host97"/><address bus="0" target="0" unit="0"/></source></hostdev>',
  ])('libvirt does not start a guest for what vmferry misses before: %s', async (device) => {
    const guest = emulated(plain('poor', image('poor')));
    const text = guest.native?.text.replace('</devices>', `${device}</devices>`) ?? '';
    const { definition } = libvirtLanguage.read(text, { name: 'poor', directory: '/' });
    await driver.keep(definition, context);
    expect(await driver.checkBootable(definition, context)).toMatchObject([
      {
        code: 'hypervisor-missing',
        message: expect.stringMatching(/names (?:.nowhere.file|the SCSI device 97:0:0:0),/),
      },
    ]);
    expect((await lab.virsh('start', 'poor')).exitStatus).not.toBe(0);
    await driver.drop(definition, context);
  });

  test('the state of an emulated TPM has to be there before the guest comes, and stays when the guest is forgotten', async () => {
    const uuid = '4dea22b3-1d52-4f3a-8a1c-0123456789fd';
    const guest = emulated(plain('sealed', image('sealed'), { uuid }));
    const text = guest.native?.text.replace(
      '</devices>',
      '<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm></devices>',
    );
    const definition = { ...guest, native: { text: text ?? '', beyond: [] } };
    expect(await driver.checkBootable(definition, context)).toMatchObject([
      { code: 'guest-unsupported', message: expect.stringContaining(`/swtpm/${uuid} is not here`) },
    ]);
    await driver.keep(definition, context);
    expect(await driver.checkBootable(definition, context)).toEqual([]);
    // After a move away, it may come back from elsewhere.
    const fence = await driver.fence(definition, context);
    expect(await driver.checkBootable(definition, context)).toMatchObject([{ code: 'guest-unsupported' }]);
    const copied = join(scratch.path, 'copied');
    mkdirSync(copied);
    expect(await run('swtpm_setup', ['--tpm2', '--tpm-state', copied])).toMatchObject({ exitStatus: 0 });
    const source = `version="2.0"><source type="dir" path="${copied}"/></backend>`;
    const arriving = {
      ...definition,
      native: { text: definition.native.text.replace('version="2.0"/>', source), beyond: [] },
    };
    expect(await driver.checkBootable(arriving, context)).toEqual([]);
    expect(events).toEqual([]);
    await driver.tellOfArrival(arriving, context);
    const today = new Date().toISOString().slice(0, 10);
    expect(events).toMatchObject([
      { type: 'warning', message: expect.stringContaining(`${copied}, last changed ${today}`) },
    ]);
    await driver.unfence(definition, fence, context);
    const state = join(lab.directory, 'lib/swtpm', uuid, 'tpm2');
    mkdirSync(state, { recursive: true });
    await driver.drop(definition, context);
    expect(await guests.known('sealed')).toBeUndefined();
    expect(existsSync(state)).toBe(true);
  });

  test('a definition that anybody may have written does not reach into this machine', async () => {
    const definition = emulated(plain('strange', image('strange')));
    expect(await driver.checkBootable(definition, context, false)).toEqual([]);
    const text = definition.native?.text ?? '';
    for (const [from, to] of [
      ['<devices>', '<devices><emulator>/tmp/program</emulator>'],
      ['<devices>', '<devices><hostdev mode="subsystem" type="usb"/>'],
      ['<console type="pty">', '<console type="pty"><log file="/etc/cron.d/x"/>'],
      ['<console type="pty">', '<console type="file"><source path="/etc/cron.d/x"/>'],
    ] as const) {
      const strange = { ...definition, native: { text: text.replace(from, to), beyond: [] } };
      expect(
        (await driver.checkBootable(strange, context, false)).map(({ message }) => message),
      ).toContainEqual(expect.stringMatching(/anybody may have written it/));
    }
    const drives = [{ device: 'sda', kind: 'cdrom' as const, bus: 'sata' as const, path: '/etc/shadow' }];
    expect(
      await driver.checkBootable(emulated(plain('s', image('s'), { drives })), context, false),
    ).toMatchObject([{ message: expect.stringContaining('/etc/shadow') }]);
  });

  test('a guest that was saved with its memory is told of', async () => {
    await keep('saved');
    await guests.virsh('start', 'saved');
    await guests.virsh('managedsave', 'saved');
    expect((await guests.known('saved'))?.unsupported?.message).toContain('was saved with its memory');
    const definition = (await guests.known('saved'))?.definition ?? plain('saved', '/');
    expect(await driver.checkBootable(definition, context)).toMatchObject([{ code: 'guest-unsupported' }]);
    await guests.virsh('managedsave-remove', 'saved');
  });

  test('a guest that runs with other disks than it is defined with is told of', async () => {
    await keep('changed');
    await guests.virsh('start', 'changed');
    expect((await guests.running('changed')).unsupported).toBeUndefined();
    await guests.virsh('attach-disk', 'changed', image('more'), 'vdb', '--live');
    expect((await guests.running('changed')).unsupported?.message).toMatch(/other disks than .*now: vdb /);
    await guests.virsh('destroy', 'changed');
  });

  test('the password of a screen stays where it is, and comes back after a fence', async () => {
    await keep('screen');
    const text = await guests.virsh('dumpxml', 'screen');
    const file = join(scratch.path, 'screen.xml');
    writeFileSync(file, text.replace('</devices>', '<graphics type="vnc" passwd="s3cret"/></devices>'));
    await guests.virsh('define', file);
    const kept = await guests.known('screen');
    expect(JSON.stringify(kept)).not.toContain('s3cret');
    expect(kept?.definition.native?.beyond).toContainEqual(
      expect.stringMatching(/the password of <graphics/),
    );
    const definition = kept?.definition ?? plain('screen', '/');
    const before = await guests.virsh('dumpxml', '--security-info', 'screen');
    const fence = await driver.fence(definition, context);
    expect((await guests.known('screen'))?.unsupported?.code).toBe('guest-fenced');
    expect((await guests.known('screen'))?.definition.disks).toEqual(definition.disks);
    expect((await lab.virsh('start', 'screen')).stderr).toContain('vmferry-fence');
    await driver.unfence(definition, fence, context);
    expect(await guests.virsh('dumpxml', '--security-info', 'screen')).toBe(before);
  });

  test('a guest that stays paused after vmferry died goes on by itself', async () => {
    await keep('frozen');
    await guests.virsh('start', 'frozen');
    const script = join(import.meta.dirname, '../support/guests/frozen/freeze-domain-and-hang.mjs');
    const child = spawn(process.execPath, [script, 'frozen'], {
      env: { ...lab.environment, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(await guests.virsh('domstate', 'frozen')).toContain('paused');
    const guest = await guests.running('frozen');
    expect(await failureOf(() => driver.freeze(guest, { syncTimeoutMs: 100 }, context))).toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining('Another backup'),
    });
    child.kill('SIGKILL');
    const goesOn = async () => (await guests.virsh('domstate', 'frozen')).includes('running');
    expect(await poll(goesOn, { timeoutMs: 30_000, intervalMs: 100, signal })).toBe(true);
    await guests.virsh('destroy', 'frozen');
  });

  test('a medium and a QEMU that this machine does not have are left out, with a warning', async () => {
    const drives = [
      { device: 'sda', kind: 'cdrom' as const, bus: 'sata' as const, path: '/nowhere/debian.iso' },
    ];
    const definition = emulated(plain('moved', image('moved'), { drives }));
    const text = definition.native?.text.replace(
      '<devices>',
      '<devices><emulator>/usr/libexec/qemu-kvm-elsewhere</emulator>',
    );
    const native = { text: text ?? '', beyond: [] };
    const completed = await driver.complete({ ...definition, native }, context);
    expect(completed.drives?.[0]?.path).toBeNull();
    expect(completed.native?.text).not.toContain('elsewhere');
    expect(events).toMatchObject([{ type: 'warning', message: expect.stringContaining('debian.iso') }]);
    expect(await driver.checkBootable(completed, context)).toEqual([]);
  });
});
