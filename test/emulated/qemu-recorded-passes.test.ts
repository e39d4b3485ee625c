import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Event } from '../../src/events.ts';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import type { RunningGuest, WrittenExtents } from '../../src/guest/guest-driver.ts';
import type { ImageFormat } from '../../src/image/formats/image-format.ts';
import { WriteRecorder } from '../../src/operations/migrate/passes/write-recorder.ts';
import { FramePool } from '../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../support/assembly.ts';
import { directCopy, type DirectCopy } from '../support/direct-copy.ts';
import { IdleQemu } from '../support/guests/idle-qemu.ts';
import { CHUNK, makeChangingDisk } from '../support/images/changing-disk.ts';
import { viewsMissing } from '../support/images/containers.ts';
import { runTool, scratchDirectory } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { seededRandom, testSeed } from '../support/seeded-random.ts';

const missing = toolsMissing('qemu-system-x86_64', 'qemu-img') ?? viewsMissing();
const context = { signal: new AbortController().signal, report: () => undefined };
const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

describe.each<ImageFormat>(['raw', 'qcow2'])(
  'an image that QEMU writes to, copied in passes: %s',
  (format) => {
    describeUnless(missing, 'on a file system without reflinks', () => {
      let scratch: Disposable & { path: string };
      let image: string;
      let qemu: IdleQemu;
      let guest: RunningGuest;
      let copy: DirectCopy;
      let recorder: WriteRecorder;
      beforeEach(async () => {
        scratch = scratchDirectory();
        mkdirSync(join(scratch.path, 'run'));
        image = join(scratch.path, `disk.${format}`);
        const raw = join(scratch.path, 'disk');
        makeChangingDisk(raw);
        runTool('qemu-img', ['convert', '-f', 'raw', '-O', format, raw, image]);
        const run = join(scratch.path, 'run');
        const environment = { ...process.env, XDG_RUNTIME_DIR: run, VMFERRY_MACHINE: scratch.path };
        qemu = await IdleQemu.start('web', image, environment, format);
        const driver = createQemuDriver(environment);
        const [found] = await driver.list(context);
        if (found === undefined) throw new Error('QEMU is not found');
        guest = found;
        const resolved = { definition: guest.definition, running: guest, record: null };
        const made = await WriteRecorder.for({ guest: resolved, dependencies: { drivers: [driver] } });
        if (made === null) throw new Error('nothing records what QEMU writes');
        recorder = made;
        copy = await directCopy(image, scratch.path, pool, false, format);
      });
      afterEach(async () => {
        await copy[Symbol.asyncDispose]();
        await recorder[Symbol.asyncDispose]();
        await qemu[Symbol.asyncDispose]();
        scratch[Symbol.dispose]();
      });

      const written = (all: WrittenExtents | null) => all?.[0] ?? null;
      const next = async () => written(await recorder.next(context));
      /** A pass that begins a further recording. */
      const pass = async () => copy.pass(await next());
      const last = async () => {
        const rest = await next();
        await qemu[Symbol.asyncDispose]();
        return copy.lastPass(rest);
      };
      const writeAt = (chunk: number, pattern = 0x5a) => qemu.io(`write -P ${pattern} ${chunk * CHUNK} 4096`);

      const bitmaps = async () => {
        const nodes = (await qemu.execute('query-named-block-nodes', { flat: true })) as {
          'dirty-bitmaps'?: unknown[];
        }[];
        return nodes.flatMap((node) => node['dirty-bitmaps'] ?? []).length;
      };

      async function expectCopied(): Promise<void> {
        await copy.finish();
        await copy.publish();
        const expected = join(scratch.path, 'expected');
        runTool('qemu-img', ['convert', '-f', format, '-O', 'raw', image, expected]);
        expect(readFileSync(join(scratch.path, 'copy')).equals(readFileSync(expected))).toBe(true);
        expect(copy.events.filter(({ type }) => type === 'warning')).toEqual([]);
      }

      test('is read once; later passes read what was written since the pass before', async () => {
        // A hole before: the tables of qcow2 change as well, in QEMU's memory first.
        await writeAt(70);
        expect(await pass()).toMatchObject({ changedBytes: 95 * CHUNK });
        await writeAt(10);
        await writeAt(80);
        const second = await pass();
        expect(second.changedBytes).toBe(2 * CHUNK);
        expect(second.readBytes).toBeLessThanOrEqual(2 * CHUNK);
        expect(await pass()).toMatchObject({ readBytes: 0, changedBytes: 0 });
        await writeAt(11);
        expect(await last()).toMatchObject({ readBytes: CHUNK, changedBytes: CHUNK });
        await expectCopied();
      });

      test('holds what the disk holds after any writes, also during a pass', async () => {
        const seed = testSeed();
        const random = seededRandom(seed);
        const change = async () => {
          const from = Math.floor(random() * 150 * 16) * 4096;
          const length = 4096 * (1 + Math.floor(random() * 12));
          if (from + length > 150 * CHUNK) return;
          const how = ['write -P 7', 'write -P 8', 'write -z', 'write -z -u', 'discard'][
            Math.floor(random() * 5)
          ];
          await qemu.io(`${how ?? 'discard'} ${from} ${length}`);
        };
        try {
          for (let round = 0; round < 4; round++) {
            const changes = (async () => {
              for (let count = 0; count < 12; count++) await change();
            })();
            const since = await next();
            await Promise.all([copy.pass(since), changes]);
            for (let count = 0; count < 5; count++) await change();
          }
          await last();
          await expectCopied();
        } catch (error) {
          throw new Error(`VMFERRY_TEST_SEED=${seed}`, { cause: error });
        }
      });

      test('is read as a whole, with a warning, if something has written to it behind QEMU', async () => {
        await pass();
        const rest = await next();
        await qemu[Symbol.asyncDispose]();
        for (let chunk = 0; chunk < 64; chunk++)
          runTool('qemu-io', ['-f', format, '-c', `write -P 9 ${chunk * CHUNK} 4096`, image]);
        const passed = await copy.lastPass(rest);
        expect(passed.changedBytes).toBe(64 * CHUNK);
        expect(copy.events.filter(({ type }) => type === 'warning')).toMatchObject([
          { message: expect.stringContaining('its hypervisor has recorded no write') },
        ]);
      });

      test('is recorded again after a vmferry that was killed while it read a bitmap', async () => {
        await pass();
        // What is there then.
        const name = `vmferry-${'0'.repeat(32)}-${'a'.repeat(16)}-0`;
        const path = join(scratch.path, 'left.sock');
        await qemu.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
        await qemu.execute('block-dirty-bitmap-add', { node: 'disk0', name, disabled: true });
        const shown = { type: 'nbd', id: name, name, 'node-name': 'disk0', bitmaps: [name] };
        await qemu.execute('block-export-add', shown);
        await writeAt(10);
        expect(await pass()).toMatchObject({ readBytes: CHUNK, changedBytes: CHUNK });
        expect(await bitmaps()).toBe(1);
      });

      test('is read as a whole while the record of QEMU cannot be read, which is told of once', async () => {
        const path = process.env['PATH'];
        const told: Event[] = [];
        const telling = { ...context, report: (event: Event) => told.push(event) };
        await recorder.next(telling);
        // There is no qemu-img.
        process.env['PATH'] = '/nowhere';
        try {
          for (let count = 0; count < 3; count++) expect(await recorder.next(telling)).toEqual([null]);
        } finally {
          process.env['PATH'] = path;
        }
        expect(told).toEqual([
          { type: 'notice', message: expect.stringMatching(/cannot be read: qemu-img is not installed/) },
        ]);
        await writeAt(10);
        expect(await next()).toEqual([{ offset: 10 * CHUNK, length: CHUNK }]);
      });

      test('leaves no bitmap in QEMU', async () => {
        await pass();
        await pass();
        expect(await bitmaps()).toBe(1);
        await recorder[Symbol.asyncDispose]();
        expect(await bitmaps()).toBe(0);
      });
    });
  },
);

describeUnless(missing, 'an image that QEMU is given by a relative path', () => {
  test.each<ImageFormat>(['raw', 'qcow2'])('is recorded: %s', async (format) => {
    using scratch = scratchDirectory();
    const run = join(scratch.path, 'run');
    mkdirSync(run);
    const image = join(scratch.path, 'disk');
    runTool('qemu-img', ['create', '-q', '-f', format, image, '1M']);
    const environment = { ...process.env, XDG_RUNTIME_DIR: run, VMFERRY_MACHINE: scratch.path };
    await using qemu = await IdleQemu.start('web', image, environment, format, true);
    const driver = createQemuDriver(environment);
    const [guest] = await driver.list(context);
    if (guest === undefined) throw new Error('QEMU is not found');
    expect(guest.definition.disks).toMatchObject([{ path: image }]);
    const request = { owner: '0'.repeat(32), since: null };
    const begun = await driver.record(guest, request, context);
    if (begun === null) throw new Error('nothing is recorded');
    await qemu.io(`write ${CHUNK} 4096`);
    const recording = await driver.record(guest, { ...request, since: begun.id }, context);
    expect(recording?.written).toEqual([[{ offset: CHUNK, length: CHUNK }]]);
  });
});

describeUnless(missing, 'a QEMU that is to outlive its guest for a moment', () => {
  const built = join(import.meta.dirname, '../../dist/guest/drivers/qemu');
  const program = `
    import { createQemuDriver } from ${JSON.stringify(join(built, 'driver.js'))};
    import { processOf } from ${JSON.stringify(join(built, '../process-identity.js'))};
    import { openSession } from ${JSON.stringify(join(built, 'running/session.js'))};
    import { pauseAtEnd } from ${JSON.stringify(join(built, 'running/end-pause.js'))};
    const context = { signal: new AbortController().signal, report() {} };
    const [web] = await createQemuDriver(process.env).list(context);
    const session = await openSession(web);
    const pause = await pauseAtEnd(processOf(web), session, process.env);
    console.log('paused at its end');
    process.stdin.on('data', async (order) => {
      if (String(order) === 'turn off') {
        await session.qmp.execute('set-action', { reboot: 'shutdown' });
        await session.qmp.execute('system_reset');
        while (session.qmp.findEvent(({ event }) => event === 'SHUTDOWN') === null) await session.qmp.nextEvent();
        console.log('turned off');
        return;
      }
      if (String(order) === 'panic') {
        await session.qmp.execute('human-monitor-command', { 'command-line': 'o/b 0x505 1' });
        while (session.qmp.findEvent(({ event }) => event === 'STOP') === null) await session.qmp.nextEvent();
        console.log('panicked');
        return;
      }
      if (String(order) === 'hang') {
        process.kill(web.identity.pid, 'SIGSTOP');
        await session.qmp.execute('query-status', {}, 100).catch(() => undefined);
        process.kill(web.identity.pid, 'SIGCONT');
      }
      await pause.takeBack();
      process.exit();
    });
  `;

  async function withPause(use: (qemu: IdleQemu, vmferry: ChildProcess) => Promise<void>): Promise<void> {
    using scratch = scratchDirectory();
    const run = join(scratch.path, 'run');
    mkdirSync(run);
    const image = join(scratch.path, 'disk');
    makeChangingDisk(image);
    const env = { ...process.env, XDG_RUNTIME_DIR: run, VMFERRY_MACHINE: scratch.path };
    await using qemu = await IdleQemu.start('web', image, env);
    const args = ['--input-type=module', '-e', program];
    const vmferry = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    await once(vmferry.stdout, 'data');
    await use(qemu, vmferry);
  }

  test.each([
    ['before its guest ends', null],
    ['after its guest has ended', 'turn off'],
    ['after its guest has panicked', 'panic'],
  ])('ends with its guest if vmferry is killed %s', async (_when, order) => {
    await withPause(async (qemu, vmferry) => {
      if (order !== null) {
        vmferry.stdin?.write(order);
        await once(vmferry.stdout ?? vmferry, 'data');
      }
      vmferry.kill('SIGKILL');
      await once(vmferry, 'exit');
      if (order === null) await qemu.turnOff();
      await qemu.exited;
    });
  });

  test.each([
    ['when that is taken back', 'take back'],
    ['when that is taken back after an answer that did not come in time', 'hang'],
  ])('ends with its guest again %s', async (_when, order) => {
    await withPause(async (qemu, vmferry) => {
      vmferry.stdin?.write(order);
      await once(vmferry, 'exit');
      await qemu.turnOff();
      await qemu.exited;
    });
  });
});
