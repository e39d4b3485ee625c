import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { offlineDefinition } from '../../../src/guest/offline-definition.ts';
import { noteBeforeHalt, noteState } from '../../../src/guest/note-state.ts';
import type { Event } from '../../../src/events.ts';
import { vmferry, type EndedProgram } from '../../support/programs/command-line.ts';
import { failureOf } from '../../support/failures.ts';
import { runTool, scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

const noMounts = process.getuid?.() === 0 ? toolsMissing('mount', 'umount') : 'mounting needs root';

interface Place {
  what: string;
  reason: string;
  code: string;
  spoil: (mounted: string) => void;
}

const places: Place[] = [
  {
    what: 'full',
    reason: 'its file system is full',
    code: 'target-full',
    spoil: (mounted) => {
      expect(() => writeFileSync(join(mounted, 'all'), Buffer.alloc(2 << 20))).toThrow('ENOSPC');
    },
  },
  {
    what: 'read-only',
    reason: 'its file system is mounted read-only',
    code: 'target-not-writable',
    spoil: (mounted) => {
      runTool('mount', ['-o', 'remount,ro', mounted]);
    },
  },
];

for (const { what, reason, code, spoil } of places)
  describeUnless(noMounts, `a state directory on a file system that is ${what}`, () => {
    const scratch = scratchDirectory();
    const mounted = join(scratch.path, 'var');
    const store = join(scratch.path, 'store');
    const image = join(scratch.path, 'web.img');
    beforeAll(async () => {
      mkdirSync(mounted);
      writeFileSync(image, seededBytes(1, 1 << 20));
      runTool('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mounted]);
      const elsewhere = { VMFERRY_STATE_DIR: join(scratch.path, 'state'), HOME: scratch.path };
      for (const args of [
        ['init', store, '--no-encrypt'],
        ['backup', image, '--to', store],
      ])
        expect(await vmferry(args, elsewhere)).toMatchObject({ exitStatus: 0 });
      spoil(mounted);
    });
    afterAll(() => {
      spawnSync('umount', ['--lazy', mounted]);
      scratch[Symbol.dispose]();
    });
    const run = (...args: string[]): Promise<EndedProgram> =>
      vmferry(args, { VMFERRY_STATE_DIR: join(mounted, 'lib', 'vmferry'), HOME: scratch.path });
    const warned = `warning: What was seen of the store cannot be kept in ${mounted}/lib/vmferry/stores: ${reason}. If the server shows another store`;
    /** Joins messages that were wrapped at the terminal's width. */
    const onOneLine = ({ stderr }: EndedProgram): string => stderr.replaceAll(/\s+/g, ' ');

    test('does not stop list and verify, which warn', async () => {
      for (const command of ['list', 'verify']) {
        const ended = await run(command, store);
        expect(ended).toMatchObject({ exitStatus: 0 });
        expect(onOneLine(ended).split(warned)).toHaveLength(2);
      }
    });

    test('does not stop restore', async () => {
      const target = join(scratch.path, 'restored.img');
      const ended = await run('restore', store, 'web.img@latest', '--to', target);
      expect(ended).toMatchObject({ exitStatus: 0 });
      expect(onOneLine(ended)).toContain(warned);
      expect(readFileSync(target).equals(readFileSync(image))).toBe(true);
    });

    test('does not stop a backup without a halt, which warns', async () => {
      const ended = await run('backup', image, '--to', store);
      expect(ended).toMatchObject({ exitStatus: 0 });
      expect(onOneLine(ended).split(warned)).toHaveLength(2);
    });

    test('prevents a halt, and the message says why', async () => {
      const records = createRecordStore(join(mounted, 'lib', 'vmferry', 'guests'));
      const definition = { ...offlineDefinition(image), name: 'web' };
      const failure = await failureOf(() => noteBeforeHalt({ definition }, records));
      expect(failure).toMatchObject({ code });
      expect(failure.message).toMatch(/^web is not halted/);
      expect(failure.message).toContain(reason);
      expect((await failureOf(() => records.requireWritable())).code).toBe(code);
      const events: Event[] = [];
      await noteState({ definition, state: 'halted' }, records, {
        report: (event) => void events.push(event),
      });
      expect(events).toMatchObject([{ type: 'warning', code: 'not-remembered' }]);
    });
  });
