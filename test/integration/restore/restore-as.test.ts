import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { noConversion } from '../../../src/operations/migrate/conversion/guest-there.ts';
import { failureOf } from '../../support/failures.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { keepingDriver, type FakeKeepingDriver } from '../../support/guests/keeping-driver.ts';
import { viewsMissing, viewsOf } from '../../support/images/containers.ts';
import { runTool } from '../../support/images/images.ts';
import { describeUnless, findTool, toolsMissing } from '../../support/programs/tools.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { restoreWhole } from '../../support/stores/restoring.ts';

const start = {
  bootTimeoutMs: 1000,
  oldHostIsGone: false,
  ask: null,
  conversion: { ...noConversion, as: 'xen' as const },
};
const MAC = '52:54:00:12:34:56';
const move = { destination: 'newhost', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };

let world: BackupWorld;
let xen: FakeKeepingDriver;
let image: string;
let back: string;

function tool(name: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(findTool(name) ?? name, args, { encoding: 'latin1' });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  return stdout;
}

const missing = viewsMissing() ?? toolsMissing('mke2fs', 'debugfs');

describeUnless(missing, 'a guest that is restored as a guest of another hypervisor', () => {
  beforeEach(async () => {
    world = new BackupWorld();
    image = join(world.path, 'web.img');
    back = join(world.path, 'back', 'web.qcow2');
    const tree = join(world.path, 'tree');
    for (const directory of [join(world.path, 'back'), join(tree, 'etc'), join(tree, 'sbin')])
      mkdirSync(directory, { recursive: true });
    writeFileSync(join(tree, 'sbin/init'), '');
    writeFileSync(join(tree, 'etc/fstab'), '/dev/ubda / ext4 defaults 0 1\n');
    writeFileSync(image, '');
    await truncate(image, 8 * 2 ** 20);
    tool('mke2fs', ['-qF', '-t', 'ext4', '-d', tree, image]);

    const web = fakeDefinition('web', [image], {
      memoryBytes: 2 ** 28,
      kernel: '/usr/bin/linux.uml',
      commandLine: ['root=/dev/ubda', `eth0=tuntap,tap0,${MAC},`],
      autostart: true,
    });
    await world.dependencies.records.write({ definition: web, state: 'halted' });
    world.dependencies.drivers = [fakeDriver()];
    await world.backup('web');
    // The disaster.
    rmSync(image);
    xen = {
      ...keepingDriver(),
      kind: 'xen',
      complete: async (definition: GuestDefinition) => ({ ...definition, kernel: '/boot/vmlinuz' }),
    };
    world.dependencies.drivers = [fakeDriver(), xen];
  });

  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    expect(viewsOf(process.pid)).toEqual([]);
  });

  const restored = () => restoreWhole(world, 'web', back, { start, format: 'qcow2' });

  test('is converted, adapted, made known to that hypervisor, and started', async () => {
    const { started } = await restored();
    expect(started).not.toBeNull();
    const { kernel, initrd } = { kernel: '/boot/vmlinuz', initrd: null };
    const definition = {
      name: 'web',
      driver: 'xen',
      kernel,
      initrd,
      memoryBytes: 2 ** 28,
      disks: [{ device: 'xvda', path: back, format: 'qcow2', readOnly: false }],
      networkCards: [{ mac: MAC }],
      autostart: true,
    };
    expect(xen.kept.get('web')).toMatchObject({ definition, autostart: true, isFenced: false });
    expect(xen.running.get('web')).toMatchObject({ definition });
    expect(xen.running.get('web')?.definition.commandLine).toContain('root=/dev/xvda');
    expect(xen.orders).toEqual(['keep web']);
    expect(xen.history).toEqual(['start web']);
    expect(await world.dependencies.records.read('web')).toMatchObject({ state: 'running', definition });
    const raw = join(world.path, 'now');
    runTool('qemu-img', ['check', '-q', '-f', 'qcow2', back]);
    runTool('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', back, raw]);
    expect(tool('debugfs', ['-R', 'cat /etc/fstab', raw])).toBe('/dev/xvda / ext4 defaults 0 1\n');
    const notices = world.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices.join('\n')).toMatch(/\/etc\/fstab/);
  });

  test('is not known to that hypervisor any more if it does not start', async () => {
    xen.start = async () => {
      xen.history.push('start web');
      throw new Failure('start-failed', 'The guest web ended while it was starting.');
    };
    expect(await failureOf(restored)).toMatchObject({ code: 'start-failed' });
    expect(xen.history).toEqual(['start web']);
    expect(xen.orders).toEqual(['keep web', 'drop web']);
    expect(xen.kept.size).toBe(0);
    expect(await world.dependencies.records.read('web')).toMatchObject({ state: 'halted' });
  });

  test('stays known if it may run in spite of the failure', async () => {
    xen.start = () => Promise.reject(new Failure('outcome-unknown', 'Its domain could not be ended.'));
    expect(await failureOf(restored)).toMatchObject({ code: 'outcome-unknown' });
    expect(xen.orders).toEqual(['keep web']);
  });

  test.each([true, false])('replaces its fenced former self, if it starts: %s', async (starts) => {
    const former = fakeDefinition('web', [image], { driver: 'xen', autostart: true });
    await xen.keep(former, world.context());
    const fence = { text: await xen.fence(former, world.context()) };
    const { records } = world.dependencies;
    const earlier = await records.write({ definition: former, state: 'moved', move, fence });
    if (!starts) xen.start = () => Promise.reject(new Failure('start-failed', 'It ended.'));
    const restoring = () =>
      restoreWhole(world, 'web', back, { start: { ...start, oldHostIsGone: true }, format: 'qcow2' });
    if (starts) {
      await restoring();
      expect(xen.kept.get('web')).toMatchObject({ definition: { disks: [{ path: back }] }, isFenced: false });
    } else {
      expect(await failureOf(restoring)).toMatchObject({ code: 'start-failed' });
      expect(xen.kept.get('web')).toMatchObject({ definition: former, isFenced: true, autostart: false });
      expect(await records.read('web')).toEqual(earlier);
    }
  });

  test('is started as it is if that hypervisor has it already', async () => {
    const known = fakeDefinition('web', [back], { driver: 'xen' });
    await xen.keep(known, world.context());
    xen.start = () => Promise.reject(new Failure('start-failed', 'It ended.'));
    await failureOf(restored);
    expect(xen.orders).toEqual(['keep web']);
    expect(xen.kept.get('web')).toMatchObject({ definition: known });
  });
});
