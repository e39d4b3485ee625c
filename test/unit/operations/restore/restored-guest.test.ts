import { linkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import { requireStartable, startRestored } from '../../../../src/operations/restore/restored-guest.ts';
import type { Snapshot } from '../../../../src/repository/snapshot.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';
import { BROKEN, fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const driver = fakeDriver();

let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;

beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'guests'));
});

afterEach(() => scratch[Symbol.dispose]());

const definition = (...images: string[]) => fakeDefinition('web', images);

function dependencies() {
  return { drivers: [driver], records, consoleLogOf: () => join(scratch.path, 'console.log') };
}

test('a guest that was moved away while it was restored is not started, and its record stays', async () => {
  const move = { destination: 'new.example', directory: null, sshConfigFile: null, remoteCommand: null };
  await records.write({ definition: definition('/srv/web.img'), state: 'moved', move });
  const restored = definition('/srv/restored.img');
  expect(await codeOf(() => startRestored(restored, null, 1000, dependencies(), context))).toBe(
    'guest-fenced',
  );
  expect(await records.read('web')).toMatchObject({
    state: 'moved',
    definition: definition('/srv/web.img'),
  });
});

test('a guest stays fenced if it does not start although its old host is gone', async () => {
  const move = { destination: 'old.example', directory: null, sshConfigFile: null, remoteCommand: null };
  const image = join(scratch.path, 'web.img');
  writeFileSync(image, '');
  const fenced = await records.write({ definition: definition('/srv/web.img'), state: 'moved', move });
  const broken = { ...definition(image), commandLine: [BROKEN] };
  const starting = startRestored(broken, fenced, 1000, dependencies(), context);
  await expect(starting).rejects.toMatchObject({ code: 'start-failed' });
  expect(await records.read('web')).toEqual(fenced);
});

describe('before anything is restored', () => {
  const disk: Snapshot['disks'][number] = {
    name: 'web.img',
    sizeBytes: 4096,
    chunkBytes: 65_536,
    fingerprint: `sha256:${'0'.repeat(64)}`,
    mode: 0o600,
    uid: 0,
    gid: 0,
    modifiedMs: 0,
    pages: [null],
  };

  function snapshotOf(stored: GuestDefinition): Snapshot {
    return {
      id: '20261122T030000Z-1f3a9c2e',
      guest: 'web',
      createdAt: '2026-11-22T03:00:00Z',
      consistency: 'halted',
      definition: stored,
      host: 'old',
      vmferryVersion: '0.0.0',
      disks: [disk],
      newBytes: 0,
    };
  }

  function check(to: string, stored = definition('/srv/web.img'), oldHostIsGone = true) {
    const places = [{ disk, path: to, format: 'raw' as const }];
    const start = { bootTimeoutMs: 1000, oldHostIsGone, ask: null };
    return requireStartable(snapshotOf(stored), places, start, { key: null }, dependencies(), context);
  }

  test('a guest of that name that has an image elsewhere is not taken for the restored one', async () => {
    const image = join(scratch.path, 'other.img');
    await records.write({ definition: definition(image), state: 'halted' });
    // Its image is gone, so nothing would be lost.
    await check(join(scratch.path, 'web.img'));
    writeFileSync(image, 'another guest');
    expect(await failureOf(() => check(join(scratch.path, 'web.img')))).toMatchObject({
      code: 'target-exists',
      message: expect.stringContaining(image),
      advice: expect.stringContaining(`--to ${image} --in-place`),
    });
    // The same image, by any path.
    await check(image);
    linkSync(image, join(scratch.path, 'same.img'));
    await check(join(scratch.path, 'same.img'));
  });

  test('a guest that the store has under another name is looked up by its own name', async () => {
    const image = join(scratch.path, 'other.img');
    writeFileSync(image, 'another guest');
    const mail = { ...definition(image), name: 'mail' };
    await records.write({ definition: mail, state: 'halted' });
    expect(
      await codeOf(() =>
        check(join(scratch.path, 'web.img'), { ...mail, disks: definition('/srv/web.img').disks }),
      ),
    ).toBe('target-exists');
  });

  test('a message about a guest that was moved away has its own name, not its name in the store', async () => {
    const mail = { ...definition('/srv/mail.img'), name: 'mail' };
    const move = { destination: 'new', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };
    await records.write({ definition: mail, state: 'moved', move });
    expect(await failureOf(() => check(join(scratch.path, 'web.img'), mail, false))).toMatchObject({
      code: 'guest-fenced',
      message: expect.stringMatching(/^mail was moved to new/),
      advice: expect.stringMatching(/vmferry revert mail\.$/),
    });
  });

  test('a disk that is not in the snapshot would be one of this machine, and is refused', async () => {
    const stored = definition('/srv/web.img', '/dev/sda');
    expect(await codeOf(() => check(join(scratch.path, 'web.img'), stored))).toBe('store-damaged');
  });

  test('a backup of another machine is started only if the user confirms that the machine is gone', async () => {
    const target = join(scratch.path, 'web.img');
    expect(await failureOf(() => check(target, undefined, false))).toMatchObject({
      code: 'guest-fenced',
      message: expect.stringContaining('was made on old'),
      advice: expect.stringContaining('--old-host-is-gone'),
    });
    await check(target);
  });
});
