import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { vmferry, type EndedProgram } from '../../support/programs/command-line.ts';
import { runTool, scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

const noMounts =
  process.getuid?.() === 0 ? toolsMissing('mount', 'umount', 'ssh', 'sshd') : 'mounting needs root';

describeUnless(noMounts, 'a store on a read-only file system that was never verified', () => {
  const scratch = scratchDirectory();
  const mounted = join(scratch.path, 'mounted');
  const image = join(scratch.path, 'web.img');
  const store = join(mounted, 'store');
  let server: TestSshServer;
  let remote: string;
  let byReadOnlyServer: TestSshServer;
  beforeAll(async () => {
    mkdirSync(mounted);
    writeFileSync(image, seededBytes(1, 1 << 20));
    runTool('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'none', mounted]);
    for (const args of [
      ['init', store, '--no-encrypt'],
      ['backup', image, '--to', store],
    ])
      expect(await inState('vmferry-first', args)).toMatchObject({ exitStatus: 0 });
    runTool('mount', ['-o', 'remount,ro', mounted]);
    server = await startSshServer();
    byReadOnlyServer = await startSshServer({ sshdConfig: ['Subsystem sftp internal-sftp -R'] });
    remote = `server:${store}`;
  });
  afterEach(() => {
    runTool('mount', ['-o', 'remount,ro', mounted]);
  });
  afterAll(async () => {
    await server.stop();
    await byReadOnlyServer.stop();
    spawnSync('umount', ['--lazy', mounted]);
    scratch[Symbol.dispose]();
  });

  /** A state directory for each test, so that tests do not share what is remembered. */
  const inState = (name: string, args: readonly string[]): Promise<EndedProgram> =>
    vmferry(args, { VMFERRY_STATE_DIR: join(scratch.path, name), HOME: scratch.path });
  const by = (through: TestSshServer): string[] => ['--ssh-config', through.sshConfigFile];

  test.each([
    ['on a disk here', () => [store]],
    ['over SFTP', () => [remote, ...by(server)]],
  ])('is listed, verified, compared and restored: %s', async (where, places) => {
    const state = where.replaceAll(' ', '-');
    expect(await inState(state, ['list', ...places()])).toMatchObject({ exitStatus: 0, stderr: '' });
    const verified = await inState(state, ['verify', ...places(), '--read-data']);
    expect(verified).toMatchObject({ exitStatus: 0 });
    expect(verified.stderr).toMatch(
      /The findings could not be recorded in the store.*is on a file system that is mounted read-only/,
    );
    const target = join(scratch.path, `${state}.img`);
    const [from = '', ...options] = places();
    const restoring = ['restore', from, 'web.img@latest', '--to', target, ...options];
    const restored = await inState(state, restoring);
    expect(restored).toMatchObject({ exitStatus: 0 });
    expect(readFileSync(target).equals(readFileSync(image))).toBe(true);
  });

  test.each([
    ['on a disk here', () => [store]],
    ['over SFTP', () => [remote, ...by(server)]],
  ])('is reported by a backup, which does not begin: %s', async (where, places) => {
    const refused = await inState(where.replaceAll(' ', '-'), ['backup', image, '--to', ...places()]);
    expect(refused).toMatchObject({ exitStatus: 14 });
    expect(refused.stderr).toContain('store is on a file system that is mounted read-only.');
    expect(refused.stderr).toContain('Mount it for writing');
    expect(refused.stderr).not.toContain('read web.img');
  });

  test('cannot get a new store, and the message says so', async () => {
    const places = [`server:${mounted}/other`, ...by(server)];
    const refused = await inState('new', ['init', ...places, '--no-encrypt']);
    expect(refused).toMatchObject({ exitStatus: 14 });
    expect(refused.stderr).toContain('other is on a file system that is mounted read-only.');
  });

  test('is the same behind a server that permits no writing', async () => {
    const through = by(byReadOnlyServer);
    runTool('mount', ['-o', 'remount,rw', mounted]);
    const verified = await inState('refusing', ['verify', remote, ...through]);
    expect(verified).toMatchObject({ exitStatus: 0 });
    expect(verified.stderr).toMatch(/The findings could not be recorded in the store.*permission denied/);
    const refused = await inState('refusing', ['backup', image, '--to', remote, ...through]);
    expect(refused).toMatchObject({ exitStatus: 14 });
    expect(refused.stderr).toContain('may not be written to: permission denied.');
  });
});
