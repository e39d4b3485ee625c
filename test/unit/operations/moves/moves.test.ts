import { describe, expect, test } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { migrationsText } from '../../../../src/cli/commands/moves/migrations.ts';
import { commitReportText } from '../../../../src/cli/commands/moves/commit.ts';
import type { Event } from '../../../../src/events.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { fenceOf, type GuestCopying, type GuestMove } from '../../../../src/guest/guest-record.ts';
import { thisMover } from '../../../../src/guest/mover.ts';
import { noteUp } from '../../../../src/guest/note-state.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { listMoves } from '../../../../src/operations/moves/list-moves.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const guest = (name: string): GuestDefinition => ({
  name,
  driver: 'uml',
  memoryBytes: null,
  cpuCount: null,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [{ device: 'ubd0', path: `/srv/${name}.img`, readOnly: false }],
  commandLine: [],
});
const move: GuestMove = {
  destination: 'newhost',
  directory: '/srv/my guests',
  sshConfigFile: null,
  remoteCommand: 'vmferry',
};
const gone = { pid: process.pid, startTimeTicks: 1 };
const at = '2026-11-29T12:00:00.000Z';
const quiet = { report: () => undefined };

describe('the moves of this machine', () => {
  test('have their states and what can be done; damaged and newer records are listed, and left alone', async () => {
    using directory = scratchDirectory();
    const records = createRecordStore(join(directory.path, 'guests'), () => new Date(at));
    const note = (name: string, state: 'moving' | 'moved', more: Partial<GuestMove>) =>
      records.write({ definition: guest(name), state, move: { ...move, mover: gone, ...more } });
    await note('a-moving', 'moving', thisMover());
    await note('b-probing', 'moved', { ...thisMover(), upAt: at });
    await note('c-broken', 'moving', {});
    await note('d-unknown', 'moved', {});
    await note('e-moved', 'moved', { upAt: at });
    await note('f-committed', 'moved', { upAt: at, committedAt: at });
    await note('g-taken', 'moved', { remoteCommand: null });
    const sources = [{ host: 'oldhost', machine: null, images: ['/srv/h.img'] }];
    await records.write({ definition: guest('h-home'), state: 'running', sources });
    await records.write({ definition: guest('i-never'), state: 'halted' });
    const { mover = gone } = thisMover();
    const copied = (name: string, more: Omit<GuestCopying, 'destination'>) =>
      records.write({
        definition: guest(name),
        state: 'running',
        copying: { destination: 'newhost', ...more },
      });
    await copied('l-copying', { mover });
    await copied('m-held', { mover, hold: 'waiting' });
    await copied('n-released', { mover, hold: 'released' });
    await copied('o-killed', { mover: gone, hold: 'waiting' });
    const options = { to: 'newhost' };
    await copied('p-copy-killed', { mover: gone, options });
    await copied('q-copy-left', { options });
    await note('r-resumable', 'moving', { options });
    const broken = { 'j-damaged': '{"version":1,', 'k-newer': '{"version":2,"more":[]}' };
    for (const [name, text] of Object.entries(broken))
      writeFileSync(join(directory.path, 'guests', `${name}.json`), text);

    const moves = await listMoves(records);
    const back = (name: string) => [`vmferry commit ${name}`, `vmferry revert ${name}`];
    expect(moves.map(({ guest: name, state, other, commands }) => [name, state, other, commands])).toEqual([
      ['a-moving', 'moving', 'newhost', []],
      ['b-probing', 'moving', 'newhost', []],
      [
        'c-broken',
        'broken-off',
        'newhost',
        ['vmferry revert c-broken', "vmferry migrate c-broken --to 'newhost:/srv/my guests'"],
      ],
      ['d-unknown', 'unknown', 'newhost', back('d-unknown')],
      ['e-moved', 'moved', 'newhost', back('e-moved')],
      ['f-committed', 'committed', 'newhost', []],
      ['g-taken', 'taken-back', 'newhost', []],
      ['h-home', 'here', 'oldhost', []],
      ['j-damaged', 'unreadable', null, []],
      ['k-newer', 'unreadable', null, []],
      ['l-copying', 'copying', 'newhost', []],
      ['m-held', 'held', 'newhost', ['vmferry cutover m-held']],
      ['n-released', 'copying', 'newhost', []],
      ['p-copy-killed', 'copy-broken-off', 'newhost', ['vmferry migrate p-copy-killed --resume']],
      ['q-copy-left', 'copy-broken-off', 'newhost', ['vmferry migrate q-copy-left --resume']],
      [
        'r-resumable',
        'broken-off',
        'newhost',
        ['vmferry revert r-resumable', 'vmferry migrate r-resumable --resume'],
      ],
    ]);
    expect(moves.slice(0, 3).map(({ pid, changedAt }) => [pid, changedAt])).toEqual([
      [process.pid, at],
      [process.pid, at],
      [null, at],
    ]);
    expect(moves.find(({ guest: name }) => name === 'k-newer')?.problem?.message).toContain(
      'k-newer.json is of version 2.',
    );
    for (const [name, text] of Object.entries(broken))
      expect(readFileSync(join(directory.path, 'guests', `${name}.json`), 'utf8')).toBe(text);

    const text = migrationsText(moves);
    expect(text).toContain(`wait for process ${process.pid}`);
    expect(text).toContain('vmferry commit e-moved, or vmferry revert e-moved');
    expect(text).toContain('is not valid');
  });

  test('may be none', async () => {
    using directory = scratchDirectory();
    expect(await listMoves(createRecordStore(join(directory.path, 'none')))).toEqual([]);
    mkdirSync(join(directory.path, 'empty'));
    expect(await listMoves(createRecordStore(join(directory.path, 'empty')))).toEqual([]);
    expect(migrationsText([])).toBe('This machine knows of no move.');
  });
});

test('that the guest came up is noted in the record of a move, which keeps all else; and in no other record', async () => {
  using directory = scratchDirectory();
  const records = createRecordStore(directory.path, () => new Date(at));
  const fenced = { definition: guest('web'), state: 'moved', move, fence: { text: 'put back' } } as const;
  const sources = [{ host: 'newhost', machine: null, images: ['/srv/web.img'] }];
  await records.write({ ...fenced, sources });
  await noteUp('web', records, quiet);
  const record = await records.read('web');
  expect(record).toMatchObject({ ...fenced, sources, changedAt: at });
  expect(record?.move?.upAt).toMatch(/^\d{4}-/);
  await records.write({ definition: guest('db'), state: 'running' });
  await noteUp('db', records, quiet);
  expect(await records.read('db')).not.toHaveProperty('move');
});

test('a record that cannot be read or written when the guest has come up is a warning: the guest runs there', async () => {
  using directory = scratchDirectory();
  const records = createRecordStore(directory.path);
  const warnings: string[] = [];
  const context = { report: (event: Event) => warnings.push(event.type === 'warning' ? event.code : '') };
  writeFileSync(join(directory.path, 'web.json'), '{');
  await noteUp('web', records, context);
  await records.write({ definition: guest('web'), state: 'moved', move });
  const full = { ...records, write: () => Promise.reject(new Error('no space')) };
  await noteUp('web', full, context);
  expect(warnings).toEqual(['not-remembered', 'not-remembered']);
});

test('a committed move is not advised to be reverted', () => {
  const record = { version: 1, definition: guest('web'), state: 'moved', changedAt: at, move } as const;
  expect(fenceOf(record)?.advice).toContain('vmferry revert web');
  const committed = fenceOf({ ...record, move: { ...move, committedAt: at } });
  expect(committed?.advice).not.toContain('revert');
  expect(committed?.advice).toContain('move it from newhost');
});

test('the summary of a commit names the old images', () => {
  const text = commitReportText({
    type: 'committed',
    guest: 'web',
    destination: 'newhost',
    images: ['/a', '/b'],
    deleted: [],
  });
  expect(text).toContain('Its old image is unchanged: /a, /b');
});
