import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { programFile, vmferry } from '../../support/programs/command-line.ts';
import { resultOf } from '../../support/programs/command-records.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';

const IMAGE_BYTES = 2 * 2 ** 20;
/** In this time the image, which cannot be compressed, goes over a line of 1 MiB a second; the margin is 5 %. */
const LEAST_SECONDS = 2 / 1.05;

describeWithTools('--limit-rate', ['ssh', 'sshd', 'ssh-keygen'], () => {
  const scratch = scratchDirectory();
  const image = join(scratch.path, 'web.img');
  let server: TestSshServer;
  beforeAll(async () => {
    server = await startSshServer();
    writeFileSync(image, seededBytes(1, IMAGE_BYTES));
    mkdirSync(join(scratch.path, 'there'));
  });
  afterAll(async () => {
    await server.stop();
    scratch[Symbol.dispose]();
  });

  const run = async <Result>(...args: string[]): Promise<Result> => {
    const environment = { VMFERRY_STATE_DIR: join(scratch.path, 'state'), HOME: scratch.path };
    return resultOf<Result>(
      await vmferry([...args, '--json', '--ssh-config', server.sshConfigFile], environment),
    );
  };

  test('holds a backup and a restore to it, by the time of day', async () => {
    const store = `server:${join(scratch.path, 'store')}`;
    await run('init', store, '--no-encrypt');
    const limit = '00:00-24:00 1M, otherwise unlimited';
    const { guests } = await run<{ guests: { seconds: number }[] }>(
      'backup',
      image,
      '--to',
      store,
      '--limit-rate',
      limit,
    );
    expect(guests[0]?.seconds).toBeGreaterThan(LEAST_SECONDS);
    const restored = join(scratch.path, 'restored.img');
    const args = ['restore', store, 'web.img', '--to', restored, '--limit-rate', '1M'];
    expect((await run<{ seconds: number }>(...args)).seconds).toBeGreaterThan(LEAST_SECONDS);
    expect(readFileSync(restored).equals(readFileSync(image))).toBe(true);
  });

  test('holds a move to it', async () => {
    const args = ['migrate', image, '--to', `server:${join(scratch.path, 'there')}`];
    const remote = ['--remote-command', `${process.execPath} ${programFile}`];
    const { seconds } = await run<{ seconds: number }>(...args, ...remote, '--limit-rate', '1M');
    expect(seconds).toBeGreaterThan(LEAST_SECONDS);
    expect(readFileSync(join(scratch.path, 'there', 'web.img')).equals(readFileSync(image))).toBe(true);
  });

  test('is refused for a store that no line leads to, also by a schedule', async () => {
    for (const args of [
      ['backup', image, '--to', scratch.path, '--limit-rate', '1M'],
      ['schedule', image, '--to', scratch.path, '--at', '03:00', '--print', '--limit-rate', '1M'],
    ]) {
      const { exitStatus, stderr } = await vmferry(args, { HOME: scratch.path });
      expect([exitStatus, stderr]).toEqual([2, expect.stringContaining('is a directory here')]);
    }
  });
});
