import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { vmferry } from '../../support/programs/command-line.ts';

let directory: string;
let script: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-convert-'));
  script = join(directory, 'web.sh');
  writeFileSync(
    script,
    '#!/bin/sh\nexec linux.uml ubd0=web.img mem=64M umid=web root=/dev/ubda \\\n  eth0=tuntap,tap0,52:54:00:00:00:01 hostfs=/srv\n',
  );
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe('convert', () => {
  test('prints a User Mode Linux guest as the XML of a domain, and what it becomes on stderr', async () => {
    const args = ['convert', script, '--as', 'libvirt', '--kernel', '/boot/vmlinuz', '--network', 'eth0=br0'];
    const { exitStatus, stdout, stderr } = await vmferry(args);
    expect(exitStatus).toBe(0);
    expect(stdout).toMatch(/^<domain/);
    for (const part of [
      join(directory, 'web.img'),
      '52:54:00:00:00:01',
      'br0',
      '/boot/vmlinuz',
      'root=/dev/vda',
    ])
      expect(stdout).toContain(part);
    expect(stderr).toContain('change: The disk ubd0 becomes vda (virtio).');
    expect(stderr).toContain('lost: hostfs=/srv is known to User Mode Linux only.');
  });

  test('takes no kernel out of a disk, and says of a guest of pygrub that a move does', async () => {
    const refused = await vmferry(['convert', script, '--as', 'qemu', '--kernel', 'guest']);
    expect(refused).toMatchObject({ exitStatus: 2, stderr: expect.stringContaining('--dry-run') });
    const pygrub = join(import.meta.dirname, '../../../fixtures/definitions/xen/accepted/pygrub.cfg');
    const { exitStatus, stderr } = await vmferry(['convert', pygrub, '--as', 'qemu']);
    expect(exitStatus).toBe(0);
    expect(stderr).toContain("change: The kernel is the guest's own. It stays in its disk here");
    expect(stderr).not.toContain('told when');
    const { stdout: help } = await vmferry(['convert', '--help']);
    expect(help).toContain('--kernel');
    expect(help).not.toContain('`guest`');
    expect(stderr).not.toContain("new machine's own kernel");
  });

  test('reads what it printed, and prints the guest as it was', async () => {
    const { stdout } = await vmferry(['convert', script, '--as', 'libvirt', '--kernel', '/boot/vmlinuz']);
    const file = join(directory, 'web.xml');
    writeFileSync(file, stdout);
    const disk = join(directory, 'other.img');
    const back = await vmferry([
      'convert',
      file,
      '--as',
      'uml',
      '--disk',
      `root=${disk}`,
      '--kernel',
      '/opt/linux',
    ]);
    expect(back).toMatchObject({ exitStatus: 0 });
    expect(back.stdout).toContain(`/opt/linux ubd0=${disk} mem=64M umid=web`);
    expect(back.stdout).toMatch(/root=\/dev\/ubda .*eth0=tuntap,tap0,52:54:00:00:00:01/);
  });

  test('with --json has the neutral definition, too', async () => {
    const { exitStatus, stdout } = await vmferry(['convert', script, '--as', 'libvirt', '--json']);
    expect(exitStatus).toBe(0);
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as object;
    expect(report).toMatchObject({
      type: 'converted',
      guest: 'web',
      from: 'uml',
      to: 'libvirt',
      definition: { name: 'web', driver: 'libvirt', memoryBytes: 67_108_864, kernel: null },
    });
  });

  test.each([
    ['a file that is not there', () => './nothing', 10, /cannot be read \(ENOENT\)/],
    ['a disk image', () => join(directory, 'image'), 10, /is no text that could describe a guest/],
    [
      'a text in no known language',
      () => join(directory, 'letter'),
      10,
      /in no language that vmferry recognises/,
    ],
    ['a guest that nobody knows', () => 'nobody', 10, /no guest named nobody/],
    ['a disk that the guest does not have', () => script, 2, /has no disk vdq/],
  ])('refuses %s', async (_what, guest, status, message) => {
    const image = join(directory, 'image');
    writeFileSync(image, '');
    truncateSync(image, 2 ** 20);
    writeFileSync(join(directory, 'letter'), 'Dear Alice,\n');
    const more = status === 2 ? ['--disk', 'vdq=/x'] : [];
    const { exitStatus, stderr } = await vmferry(['convert', guest(), '--as', 'libvirt', ...more]);
    expect(stderr).toMatch(message);
    expect(exitStatus).toBe(status);
  });
});
