import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Context } from '../../src/events.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { readDomain } from '../../src/guest/drivers/libvirt/domain/read-domain.ts';
import { completeDomain } from '../../src/guest/drivers/libvirt/complete.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { failureOf } from '../support/failures.ts';
import { emulated, LabGuests, plain } from '../support/guests/libvirt-guests.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { vmferry } from '../support/programs/command-line.ts';
import { errorOf, recordsOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';

const context: Context = { signal: new AbortController().signal, report: () => undefined };

describeUnless(libvirtMissing(), 'trouble with libvirt', () => {
  let lab: LibvirtLab;
  let driver: ReturnType<typeof createLibvirtDriver>;
  let guests: LabGuests;
  const scratch = scratchDirectory();

  beforeAll(async () => {
    lab = await startLibvirt();
    driver = createLibvirtDriver(lab.environment);
    guests = new LabGuests(lab, driver);
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  function withDevices(name: string, devices: string): GuestDefinition {
    const path = join(scratch.path, `${name}.img`);
    writeFileSync(path, Buffer.alloc(2 ** 20));
    const definition = emulated(plain(name, path));
    const text = definition.native?.text.replace('</devices>', `${devices}</devices>`) ?? '';
    return readDomain(text, name).definition;
  }

  test.each([
    [
      'a network device of the machine',
      '<interface type="direct"><source dev="nowhere0" mode="bridge"/></interface>',
    ],
    [
      'a tap device that somebody else makes',
      '<interface type="ethernet"><target dev="nowhere0" managed="no"/></interface>',
    ],
    [
      'a device that is passed through',
      '<hostdev mode="subsystem" type="usb"><source><vendor id="0xdead"/><product id="0xbeef"/></source></hostdev>',
    ],
    [
      'a directory that the guest shares',
      '<filesystem type="mount"><source dir="/nowhere/share"/><target dir="share"/></filesystem>',
    ],
    ['a serial line', '<serial type="dev"><source path="/dev/nowhere"/></serial>'],
  ])('%s that is missing is found before libvirt fails to start the guest', async (_, devices) => {
    const definition = withDevices('named', devices);
    const problems = await driver.checkBootable(definition, context);
    expect(problems).toMatchObject([
      { code: 'hypervisor-missing', message: expect.stringContaining('which is not here') },
    ]);
    await driver.keep(definition, context);
    expect((await lab.virsh('start', 'named')).exitStatus).not.toBe(0);
    await guests.virsh('undefine', 'named');
  });

  test('a guest that brings no kernel gets the one of the machine, or is refused', async () => {
    const path = join(scratch.path, 'kernel.img');
    writeFileSync(path, Buffer.alloc(2 ** 20));
    const { boot: _boot, ...rest } = plain('kernelless', path);
    expect(await driver.checkBootable(rest, context)).toMatchObject([
      { message: expect.stringContaining('There is no kernel for kernelless here') },
    ]);
    for (const name of ['vmlinuz-6.1.0-9-amd64', 'vmlinuz-6.1.0-10-amd64', 'initrd.img-6.1.0-10-amd64'])
      writeFileSync(join(scratch.path, name), '');
    expect(await completeDomain(rest, context, scratch.path)).toMatchObject({
      kernel: join(scratch.path, 'vmlinuz-6.1.0-10-amd64'),
      initrd: join(scratch.path, 'initrd.img-6.1.0-10-amd64'),
    });
    const bios = plain('bios', path);
    expect(await completeDomain(bios, context, scratch.path)).toEqual(bios);
  });

  test('a libvirt that does not answer is told of, and hides no other guests', async () => {
    await lab.stop();
    const environment = {
      ...lab.environment,
      VMFERRY_STATE_DIR: scratch.path,
      VMFERRY_MACHINE: scratch.path,
    };
    const silent = { code: 'hypervisor-missing', message: expect.stringContaining('does not answer here') };
    expect(await failureOf(() => driver.list(context))).toMatchObject(silent);
    expect(await failureOf(() => driver.listKept(context))).toMatchObject(silent);
    const listed = await vmferry(['guests', '--json'], environment);
    expect(listed.exitStatus).toBe(0);
    expect(recordsOf(listed)).toMatchObject([
      { type: 'warning', code: 'hypervisor-silent', message: expect.stringContaining('systemctl start') },
      { type: 'guests', guests: [] },
    ]);
    const started = await vmferry(['start', '--all', '--json'], environment);
    expect(errorOf(started)).toMatchObject({ code: 'hypervisor-missing' });
    expect(errorOf(started).message).toContain('libvirt');
    await lab.start();
    expect(await driver.list(context)).toEqual([]);
  });

  test('a libvirt that does not run, and never had a guest, is no trouble', async () => {
    const runtime = join(scratch.path, 'runtime');
    const session = createLibvirtDriver({
      ...process.env,
      HOME: scratch.path,
      XDG_RUNTIME_DIR: runtime,
      XDG_CONFIG_HOME: join(scratch.path, 'config'),
      LIBVIRT_DEFAULT_URI: 'qemu:///session',
    });
    expect(await session.list(context)).toEqual([]);
    expect(await session.listKept(context)).toEqual([]);
    // So libvirt notes a guest that runs: it runs on when libvirt ends.
    mkdirSync(join(runtime, 'libvirt/qemu/run'), { recursive: true });
    writeFileSync(join(runtime, 'libvirt/qemu/run/web.xml'), '<domstatus/>');
    expect(await failureOf(() => session.list(context))).toMatchObject({ code: 'hypervisor-missing' });
  });
});
