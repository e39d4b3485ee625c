import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { parseSnapshotReference } from '../../../src/operations/store-access/choose-snapshot.ts';
import { bootSnapshot, type BootDependencies } from '../../../src/operations/verify/boot-snapshot.ts';
import { readCheckRecord } from '../../../src/operations/store-access/stored-check-records.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { storeSnapshot } from '../../support/stores/stored-snapshots.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import {
  buildGuestImage,
  guestBootCount,
  quickBoot,
  GUEST_MEMORY_BYTES,
} from '../../support/guests/uml-guest.ts';
import { umlKernel, umlMissing } from '../../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../../support/guests/uml-processes.ts';

const { signal } = new AbortController();

describeUnless(umlMissing(), 'a snapshot that is verified by booting it', () => {
  let world: BackupWorld;
  let umlDir: string;
  let scratchDirectory: string;
  let image: string;
  let dependencies: BootDependencies;

  beforeEach(async () => {
    world = new BackupWorld();
    umlDir = join(realpathSync(world.path), 'uml');
    scratchDirectory = join(world.path, 'scratch');
    mkdirSync(scratchDirectory);
    image = join(world.path, 'alpha.img');
    const environment = { ...process.env, UML_DIR: umlDir };
    dependencies = {
      ...world.dependencies,
      drivers: [createUmlDriver(environment)],
      bootFilesOf: (guest) => ({
        kernel: join(world.path, 'kernel', guest),
        initrd: join(world.path, 'initrd', guest),
      }),
    };
    // On some processors the kernel is a script, which a plain store may not choose.
    await dependencies.records.write({ definition: { ...definition(), name: 'beta' }, state: 'halted' });
    await buildGuestImage({ path: image, dataBytes: 65_536, onCtrlAltDel: 'quick-poweroff' });
  });

  afterEach(async () => {
    for (const pid of umlProcessesOf(null, umlDir)) process.kill(pid, 'SIGKILL');
    await world[Symbol.asyncDispose]();
  });

  function definition(changes: Partial<GuestDefinition> = {}): GuestDefinition {
    return {
      name: 'alpha',
      driver: 'uml',
      memoryBytes: GUEST_MEMORY_BYTES,
      cpuCount: null,
      kernel: umlKernel(),
      initrd: null,
      disks: [{ device: 'ubd0', path: image, readOnly: false }],
      // A device that the host does not have: a guest with it would not start.
      commandLine: ['root=/dev/ubda', 'rw', ...quickBoot, 'eth0=tuntap,no-such-device', 'con0=fd:0,fd:1'],
      ...changes,
    };
  }

  async function store(changes?: Partial<GuestDefinition>): Promise<string> {
    const folder = (await world.session()).folder('alpha');
    const disks = [{ name: 'alpha.img', image: readFileSync(image) }];
    const at = new Date('2026-11-22T03:00:00Z');
    return (await storeSnapshot(folder, disks, at, { definition: definition(changes) })).id;
  }

  async function boot(reference = 'alpha', context = world.context()) {
    const request = { reference: parseSnapshotReference(reference), scratchDirectory, bootTimeoutMs: 60_000 };
    return bootSnapshot(request, await world.session(), dependencies, context);
  }

  function expectNothingLeft(): void {
    expect(readdirSync(scratchDirectory)).toEqual([]);
    expect(umlProcessesOf(null, umlDir)).toEqual([]);
  }

  test('is booted, which leaves nothing but a record', async () => {
    const snapshot = await store();
    const verdict = await boot();
    expect(verdict).toMatchObject({ guest: 'alpha', snapshot });
    expect(verdict.bootSeconds).toBeGreaterThan(0);
    expectNothingLeft();
    // The copy was booted, not the image or the store.
    expect(await guestBootCount(image)).toBe(0);
    const { record } = await readCheckRecord((await world.session()).folder('alpha'), signal);
    expect(record.snapshots.get(snapshot)).toMatchObject({ state: 'whole', bootedMs: expect.any(Number) });
  });

  test('that does not boot is reported with its console, and nothing is left', async () => {
    const snapshot = await store({ commandLine: ['root=/dev/ubdb', 'rw', 'panic=1'] });
    const failure = await failureOf(() => boot());
    expect(failure.code).toBe('boot-failed');
    expect(failure.message).toContain(snapshot);
    expect(failure.message).toMatch(/console shows:[^]*VFS/);
    expectNothingLeft();
    const { record } = await readCheckRecord((await world.session()).folder('alpha'), signal);
    expect(record.snapshots.size).toBe(0);
  });

  test('leaves nothing if the boot of the copy is interrupted', async () => {
    await store();
    const stop = new AbortController();
    const context = world.context(stop.signal);
    const { report } = context;
    context.report = (event) => {
      report(event);
      if (event.type === 'stage-started' && event.stage === 'boot')
        setImmediate(() => stop.abort(new Error('Ctrl-C')));
    };
    await expect(boot('alpha', context)).rejects.toThrow('Ctrl-C');
    expectNothingLeft();
  });

  test('of an image alone cannot be booted', async () => {
    await store({ driver: 'offline' });
    expect((await failureOf(() => boot())).code).toBe('guest-unsupported');
    expectNothingLeft();
  });

  test('whose kernel is missing is not restored at all', async () => {
    await store({ kernel: join(world.path, 'no-kernel') });
    const environment = { ...process.env, UML_DIR: umlDir, PATH: '/nowhere' };
    dependencies = { ...dependencies, drivers: [createUmlDriver(environment)] };
    expect((await failureOf(() => boot())).code).toBe('hypervisor-missing');
    expectNothingLeft();
  });

  test('of a plain store cannot choose which program is started', async () => {
    const program = join(world.path, 'program');
    const trace = join(world.path, 'trace');
    writeFileSync(program, `#!/bin/sh\ntouch ${trace}\n`, { mode: 0o755 });
    await store({ kernel: program });
    expect(await failureOf(() => boot())).toMatchObject({
      code: 'hypervisor-missing',
      message: expect.stringContaining(`${program} as the kernel`),
    });
    expect(existsSync(trace)).toBe(false);
    expectNothingLeft();
  });

  test('needs a directory for the copy', async () => {
    await store();
    writeFileSync(join(world.path, 'a-file'), '');
    scratchDirectory = join(world.path, 'a-file');
    expect((await failureOf(() => boot())).code).toBe('target-not-writable');
  });
});
