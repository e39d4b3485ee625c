import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  type GuestImage,
  type GuestImageOptions,
  readGuestFile,
  GUEST_MEMORY_BYTES,
} from '../support/guests/uml-guest.ts';
import { countingProgram } from '../support/guests/counting-program.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';

describeUnless(umlMissing() ?? networkLabMissing(), 'a real guest', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  async function bootOnOld(
    name: string,
    options: Pick<GuestImageOptions, 'programs'> = {},
  ): Promise<{ image: GuestImage; path: string; stop: () => Promise<void> }> {
    const path = join(hosts.old.images, `${name}.img`);
    const image = await buildGuestImage({ path, dataBytes: 8 * 2 ** 20, ...options });
    const { stop } = await bootUmlGuest({
      image: path,
      name,
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
    });
    hosts.defer(stop);
    return { image, path, stop };
  }

  test('is moved with one command while it writes, and runs there exactly as before', async () => {
    const { image, path } = await bootOnOld('web', { programs: [countingProgram] });
    // One store for both hosts.
    const store = join(hosts.old.home, 'store');
    expect(await hosts.run(['init', store, '--no-encrypt'])).toMatchObject({ exitStatus: 0 });
    const backup = ['backup', 'web', '--to', store, '--pause'];
    expect(await hosts.run(backup)).toMatchObject({ exitStatus: 0 });
    const moved = await hosts.run(['migrate', 'web', ...hosts.targetArguments(), '--json']);
    expect(moved.stderr).toBe('');
    if (moved.exitStatus !== 0) throw new Error(moved.stdout);
    const report = JSON.parse(moved.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(report).toMatchObject({ type: 'moved', guest: 'web', warnings: [] });
    // It was copied while it ran, and after the halt only what had changed was sent.
    const passes = report['passes'] as { sentBytes: number }[];
    expect(passes.length).toBeGreaterThan(1);
    expect(passes.at(-1)?.sentBytes).toBeLessThan((passes[0]?.sentBytes ?? 0) / 4);
    expect(report).toMatchObject({ predictedDowntimeSeconds: expect.any(Number) });
    expect(moved.exitStatus).toBe(0);

    // It runs only there, with the same memory.
    const there = JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout) as object;
    expect(there).toMatchObject({
      guests: [{ name: 'web', state: 'running', memoryBytes: GUEST_MEMORY_BYTES }],
    });
    const here = JSON.parse((await hosts.run(['guests', '--json'])).stdout) as object;
    expect(here).toMatchObject({ guests: [{ name: 'web', state: 'moved' }] });
    expect(readdirSync(hosts.new.images)).toEqual(['web.img']);

    // It is the same guest: one boot more, and the same data.
    const halted = await hosts.runOnNew(['halt', 'web']);
    expect(halted.exitStatus).toBe(0);
    const target = join(hosts.new.images, 'web.img');
    expect(await guestBootCount(path)).toBe(1);
    expect(await guestBootCount(target)).toBe(2);
    expect(await damagedGuestFiles(target, image.files)).toEqual([]);
    // What it wrote last here is there, and it went on from that.
    const count = async (disk: string) => Number((await readGuestFile(disk, '/count')).toString());
    expect(await count(path)).toBeGreaterThan(0);
    expect(await count(target)).toBeGreaterThanOrEqual(await count(path));
    expect((await stat(target)).mode).toBe((await stat(path)).mode);
    // Its backups continue under its name, although host and path differ.
    expect(await hosts.runOnNew(backup)).toMatchObject({ exitStatus: 0 });

    // Take the move back.
    const started = await hosts.run(['start', 'web']);
    expect(started.exitStatus).toBe(10);
    expect(started.stderr).toContain('vmferry revert web');
    const reverted = await hosts.run(['revert', 'web', '--json']);
    expect(reverted.stdout).toContain('"type":"reverted"');
    expect(reverted.exitStatus).toBe(0);
    expect((await hosts.run(['halt', 'web'])).exitStatus).toBe(0);
    expect(await guestBootCount(path)).toBe(2);
    expect(await hosts.run(backup)).toMatchObject({ exitStatus: 0 });
  });

  test('leaves its old image unchanged', async () => {
    const { path, stop } = await bootOnOld('quiet');
    await stop();
    const before = await sha256(path);
    const moved = await hosts.run(['migrate', path, ...hosts.targetArguments()]);
    expect(moved.exitStatus).toBe(0);
    expect(await sha256(path)).toBe(before);
  });
});

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}
