import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Event } from '../../src/events.ts';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import type { RunningGuest, ViewedGuest } from '../../src/guest/guest-driver.ts';
import { poll } from '../../src/pipeline/polling.ts';
import { run } from '../../src/system/processes.ts';
import { guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { numbersOfOneTime, startWritingGuest, type WrittenNumbers } from '../support/guests/writing-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const missing =
  toolsMissing('qemu-system-x86_64', 'qemu-ga', 'mke2fs', 'e2fsck', 'busybox') ?? guestKernelMissing();
const dist = join(import.meta.dirname, '../../dist/guest/drivers/qemu/driver.js');
const timeoutMs = 120_000;

describeUnless(missing, 'the disks of a running guest of QEMU that writes', () => {
  const scratch = scratchDirectory();
  const environment = {
    ...process.env,
    XDG_RUNTIME_DIR: join(scratch.path, 'run'),
    VMFERRY_MACHINE: scratch.path,
  };
  const driver = createQemuDriver(environment);
  const image = join(scratch.path, 'web.img');
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => events.push(event) };
  let web: RunningGuest;
  let copies = 0;

  beforeAll(async () => {
    await mkdir(environment.XDG_RUNTIME_DIR);
    const files = { image: image, consoleLog: join(scratch.path, 'web.log'), timeoutMs };
    web = await startWritingGuest(driver, files, context);
    // Until its agent runs, a view is as after a crash.
    const ready = await poll(
      async () => {
        await using viewed = await view();
        return viewed.notSynced === null;
      },
      { timeoutMs, intervalMs: 500, signal: context.signal },
    );
    expect(ready).toBe(true);
  }, 2 * timeoutMs);
  afterAll(async () => {
    if (web !== undefined) await driver.halt(web, { timeoutMs: 1, force: true }, context);
    scratch[Symbol.dispose]();
  }, timeoutMs);

  const view = (): Promise<ViewedGuest> =>
    driver.view(web, { syncTimeoutMs: 30_000, recording: null }, context);
  const leftBeside = () => readdirSync(scratch.path).filter((name) => name.includes('.vmferry-'));
  const digestOf = async (path: string) => (await run('sha256sum', ['--', path])).stdout.split(' ')[0];

  async function inspect({ views }: ViewedGuest): Promise<WrittenNumbers> {
    const copy = join(scratch.path, `copy-${++copies}.img`);
    await copyFile(views[0] ?? '', copy);
    return numbersOfOneTime(copy);
  }

  test('are shown as they were at one instant, and stay so while the guest writes on', async () => {
    let before: WrittenNumbers;
    {
      await using viewed = await view();
      expect(viewed.notSynced).toBeNull();
      const digest = await digestOf(viewed.views[0] ?? '');
      before = await inspect(viewed);
      expect(before.first).toBeGreaterThan(0);
      expect(await digestOf(viewed.views[0] ?? '')).toBe(digest);
      // It is described as before, although its QEMU uses further files now.
      expect((await driver.list(context))[0]?.unsupported).toBeUndefined();
      // The file takes what the guest has overwritten meanwhile.
      expect(leftBeside()).toHaveLength(1);
    }
    expect(leftBeside()).toEqual([]);
    await using later = await view();
    const after = await inspect(later);
    expect(after.first).toBeGreaterThan(before.first);
  });

  test('are taken out of the guest by the next view if vmferry was killed', async () => {
    expect(existsSync(dist)).toBe(true);
    const program = `
      import { createQemuDriver } from ${JSON.stringify(dist)};
      const driver = createQemuDriver(process.env);
      const context = { signal: new AbortController().signal, report() {} };
      const [web] = await driver.list(context);
      await driver.view(web, { syncTimeoutMs: 30_000, recording: null }, context);
      process.kill(process.pid, 'SIGKILL');
    `;
    await run(process.execPath, ['--input-type=module', '-e', program], { env: environment, timeoutMs });
    expect(leftBeside()).toHaveLength(1);
    events.length = 0;
    {
      await using viewed = await view();
      expect((await inspect(viewed)).first).toBeGreaterThan(0);
    }
    expect(events).toEqual([
      expect.objectContaining({ type: 'warning', message: expect.stringContaining('was killed earlier') }),
    ]);
    expect(leftBeside()).toEqual([]);
  });
});
