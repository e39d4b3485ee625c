import { describe, expect, test } from '@jest/globals';
import process from 'node:process';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import type { GuestMove } from '../../../../src/guest/guest-record.ts';
import { createRecordStore, type NewGuestRecord } from '../../../../src/guest/record-store.ts';
import { optionsToResume } from '../../../../src/operations/moves/options-to-resume.ts';
import { readProcess } from '../../../../src/system/proc-process.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const definition: GuestDefinition = {
  name: 'web',
  driver: 'uml',
  memoryBytes: null,
  cpuCount: null,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [{ device: 'ubd0', path: '/srv/web.img', readOnly: false }],
  commandLine: [],
};
const gone = { pid: process.pid, startTimeTicks: 1 };
const options = {
  to: 'newhost:/srv',
  disk: ['root=/dev/vg0/web'],
  cutover: '03:00',
  'halt-timeout': 5,
  cold: true,
};
const move: GuestMove = {
  destination: 'newhost',
  directory: '/srv',
  sshConfigFile: null,
  remoteCommand: 'vmferry',
  mover: gone,
};

/** Writes the record and reads it back, as another process would. */
async function resumed(record: Omit<NewGuestRecord, 'definition'> | null) {
  using directory = scratchDirectory();
  if (record !== null) await createRecordStore(directory.path).write({ definition, ...record });
  return await optionsToResume('web', createRecordStore(directory.path));
}

describe('a move that broke off is resumed with its options', () => {
  test('after a kill while the guest was copied', async () => {
    const copying = { destination: 'newhost', mover: gone, options };
    expect(await resumed({ state: 'running', copying })).toEqual(options);
  });

  test('after it gave up and left its copy there', async () => {
    expect(await resumed({ state: 'running', copying: { destination: 'newhost', options } })).toEqual(
      options,
    );
  });

  test('after a kill behind the halt, where there is nothing to wait for any more', async () => {
    const { cutover: _, ...rest } = options;
    expect(await resumed({ state: 'moving', move: { ...move, options } })).toEqual(rest);
  });

  test('with the latest options, if it was begun twice', async () => {
    const copying = { destination: 'other', mover: gone, options: { to: 'other' } };
    expect(await resumed({ state: 'moving', move: { ...move, options }, copying })).toEqual({ to: 'other' });
  });
});

describe('there is nothing to resume', () => {
  test.each([
    ['without a record', null],
    ['of a guest that never moved', { state: 'running' }],
    ['after a revert', { state: 'halted' }],
  ] as const)('%s', async (_title, record) => {
    await expect(resumed(record)).rejects.toMatchObject({
      code: 'guest-not-found',
      message: 'No move of web broke off here.',
      advice: expect.stringContaining('vmferry migrate web --to HOST'),
    });
  });

  test('if the record has no options: the whole command is to be typed', async () => {
    for (const record of [
      { state: 'moving', move },
      { state: 'running', copying: { destination: 'newhost', mover: gone } },
    ] as const)
      await expect(resumed(record)).rejects.toMatchObject({
        code: 'guest-not-found',
        advice: expect.stringContaining('Type the whole command: vmferry migrate web --to newhost'),
      });
  });

  test('while another process moves the guest', async () => {
    const parent = readProcess(process.ppid);
    const mover = { pid: process.ppid, startTimeTicks: parent?.startTimeTicks ?? 0 };
    await expect(resumed({ state: 'moving', move: { ...move, mover, options } })).rejects.toMatchObject({
      code: 'guest-fenced',
      message: expect.stringContaining('right now'),
    });
  });

  test.each([
    ['may have been booted there', {}, 'vmferry commit web.'],
    ['runs there', { upAt: '2026-11-29T12:00:00.000Z' }, 'vmferry revert web'],
    [
      'stays there for good',
      { upAt: '2026-11-29T12:00:00.000Z', committedAt: '2026-11-29T13:00:00.000Z' },
      'move it from newhost',
    ],
    ['was taken back there', { remoteCommand: null }, 'move it from newhost'],
    ['went to a machine without vmferry', { remoteCommand: null, via: 'bzip2' }, '--new-host-is-gone'],
  ] as const)('if the guest %s', async (_title, more, advice) => {
    const failure = await resumed({ state: 'moved', move: { ...move, ...more } }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'guest-fenced', message: expect.stringContaining('not resumed') });
    expect(String((failure as { advice: unknown }).advice)).toContain(advice);
  });
});
