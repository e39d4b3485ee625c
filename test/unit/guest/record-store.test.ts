import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { fenceOf, type GuestMove } from '../../../src/guest/guest-record.ts';
import { createRecordStore, stateDirectory, type RecordStore } from '../../../src/guest/record-store.ts';

const now = new Date('2026-01-02T03:04:05.678Z');
const move: GuestMove = {
  destination: 'newhost',
  directory: '/srv',
  sshConfigFile: null,
  remoteCommand: 'vmferry',
};

function definition(name: string): GuestDefinition {
  return {
    name,
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: '/usr/bin/linux.uml',
    initrd: null,
    disks: [{ device: 'ubd0', path: `/srv/${name}.img`, readOnly: false }],
    commandLine: ['rw'],
  };
}

let directory: string;
let store: RecordStore;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'vmferry-records-')), 'state', 'guests');
  store = createRecordStore(directory, () => now);
});

afterEach(() => {
  rmSync(join(directory, '..', '..'), { recursive: true });
});

describe('records', () => {
  test('are written, read by another program, and removed', async () => {
    expect(await store.read('web')).toBeNull();
    expect(await store.list()).toEqual([]);
    await store.write({ definition: definition('web'), state: 'running' });
    await store.write({ definition: definition('mail'), state: 'moved', move });
    const written = await store.write({ definition: definition('web'), state: 'halted' });
    expect(written).toEqual({
      version: 1,
      definition: definition('web'),
      state: 'halted',
      changedAt: '2026-01-02T03:04:05.678Z',
    });
    const other = createRecordStore(directory);
    expect(await other.read('web')).toEqual(written);
    expect((await other.list()).map((record) => [record.definition.name, record.state])).toEqual([
      ['mail', 'moved'],
      ['web', 'halted'],
    ]);
    await other.remove('web');
    await other.remove('web');
    expect(await store.read('web')).toBeNull();
  });

  test('are readable by their owner only, and leave no other files', async () => {
    await store.write({ definition: definition('web'), state: 'running' });
    expect(readdirSync(directory)).toEqual(['web.json']);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'web.json')).mode & 0o777).toBe(0o600);
  });

  test('are never read from outside their directory', async () => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, '..', 'x.json'), '{}');
    expect(await store.read('../x')).toBeNull();
    await store.remove('../x');
    expect(existsSync(join(directory, '..', 'x.json'))).toBe(true);
  });

  test.each([
    ['is cut off', '{"version": 1, "defin'],
    ['is of a later version', JSON.stringify({ version: 2 })],
    [
      'says moved but gives no destination',
      JSON.stringify({
        version: 1,
        definition: definition('web'),
        state: 'moved',
        changedAt: now.toISOString(),
      }),
    ],
    [
      'holds no definition',
      JSON.stringify({ version: 1, definition: {}, state: 'halted', changedAt: now.toISOString() }),
    ],
  ])('that cannot be understood are refused: one that %s', async (_, text) => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'web.json'), text);
    await expect(store.read('web')).rejects.toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining(join(directory, 'web.json')),
    });
  });

  test('that cannot be written fail with advice about the directory', async () => {
    mkdirSync(join(directory, '..'), { recursive: true });
    writeFileSync(directory, '');
    await expect(store.write({ definition: definition('web'), state: 'running' })).rejects.toMatchObject({
      code: 'not-permitted',
      advice: expect.stringContaining('VMFERRY_STATE_DIR'),
    });
    chmodSync(directory, 0o600);
  });
});

describe('the fence', () => {
  const record = (state: 'running' | 'halted' | 'moving' | 'moved') =>
    ({ version: 1, definition: definition('web'), state, changedAt: now.toISOString(), move }) as const;

  test('refuses guests that were moved elsewhere, and names the command to take them back', () => {
    for (const state of ['moved', 'moving'] as const)
      expect(fenceOf(record(state))).toMatchObject({
        code: 'guest-fenced',
        message: expect.stringContaining('newhost:/srv'),
        advice: expect.stringContaining('vmferry revert web'),
      });
  });

  test('refuses no other guests', () => {
    expect(fenceOf(record('halted'))).toBeNull();
    expect(fenceOf(record('running'))).toBeNull();
  });
});

test.each([
  [{ VMFERRY_STATE_DIR: '/x', HOME: '/home/a' }, 0, '/x'],
  [{ HOME: '/root' }, 0, '/var/lib/vmferry'],
  [{ HOME: '/home/a', XDG_STATE_HOME: '/home/a/st' }, 1000, '/home/a/st/vmferry'],
  [{ HOME: '/home/a', XDG_STATE_HOME: 'relative' }, 1000, '/home/a/.local/state/vmferry'],
  [{ HOME: '/home/a', VMFERRY_STATE_DIR: '' }, 1000, '/home/a/.local/state/vmferry'],
])('the state directory for %j and user %d is %s', (environment, userId, expected) => {
  expect(stateDirectory(environment, userId)).toBe(expected);
});
