import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Context } from '../../src/events.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { failureOf } from '../support/failures.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { vmferry } from '../support/programs/command-line.ts';
import { errorOf, recordsOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';

const context: Context = { signal: new AbortController().signal, report: () => undefined };

describeUnless(libvirtMissing(), 'trouble with libvirt', () => {
  let lab: LibvirtLab;
  let driver: ReturnType<typeof createLibvirtDriver>;
  const scratch = scratchDirectory();

  beforeAll(async () => {
    lab = await startLibvirt();
    driver = createLibvirtDriver(lab.environment);
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
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
