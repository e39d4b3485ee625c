import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createStoreMemory, type StoreMemory } from '../../../src/repository/store-memory.ts';
import { codeOf } from '../../support/failures.ts';

const id = '1f3a9c2e00112233445566778899aabb';
const otherId = '00000000000000000000000000000000';
const first = '20261122T030000Z-1f3a9c2e';
const second = '20261123T030000Z-00000000';
const place = 'sftp://backup@host/srv';

let scratch: string;
let directory: string;
let memory: StoreMemory;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vmferry-memory-'));
  directory = join(scratch, 'state', 'stores');
  memory = createStoreMemory(directory);
});

afterEach(() => {
  rmSync(scratch, { recursive: true });
});

async function newest(location = place) {
  return Object.fromEntries((await memory.recall(location))?.newest ?? []);
}

describe('the memory of stores', () => {
  test('is empty at first', async () => {
    expect(await memory.recall(place)).toBeNull();
  });

  test('is kept for each location, readable only for this account', async () => {
    await memory.remember(place, { id, isEncrypted: true });
    await memory.remember('/srv/other', { id: otherId, isEncrypted: false });
    const [file = ''] = readdirSync(directory);
    expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).toHaveLength(2);
    const again = await createStoreMemory(directory).recall(place);
    expect(again).toMatchObject({ id, isEncrypted: true, newest: new Map() });
    expect(again?.file).toMatch(/^.*[/][0-9a-f]{32}[.]json$/);
  });

  test('has the newest snapshot of each guest until it is changed', async () => {
    await memory.remember(place, { id, isEncrypted: true }, new Map([['web', first]]));
    await memory.remember(place, { id, isEncrypted: true }, new Map([['__proto__', first]]));
    await memory.remember(place, { id, isEncrypted: true }, new Map([['web', second]]));
    await memory.remember(place, { id, isEncrypted: true });
    expect([...((await memory.recall(place))?.newest ?? [])]).toEqual([
      ['web', second],
      ['__proto__', first],
    ]);
    await memory.remember(place, { id, isEncrypted: true }, new Map([['__proto__', null]]));
    expect(await newest()).toEqual({ web: second });
  });

  test('does not apply to another store at the same location', async () => {
    await memory.remember(place, { id, isEncrypted: true }, new Map([['web', first]]));
    await memory.remember(place, { id: otherId, isEncrypted: false }, new Map([['mail', second]]));
    expect(await newest()).toEqual({ mail: second });
    expect(await memory.recall(place)).toMatchObject({ id: otherId, isEncrypted: false });
  });

  test('is an error if it cannot be understood, and not an unknown store', async () => {
    await memory.remember(place, { id, isEncrypted: true });
    const [file = ''] = readdirSync(directory);
    for (const text of ['', '{}', '{"version":2}']) {
      writeFileSync(join(directory, file), text);
      expect(await codeOf(() => memory.recall(place))).toBe('store-unsupported');
      expect(await codeOf(() => memory.remember(place, { id, isEncrypted: false }))).toBe(
        'store-unsupported',
      );
    }
  });

  test('is not written again if nothing is new', async () => {
    await memory.remember(place, { id, isEncrypted: true }, new Map([['web', first]]));
    const [name = ''] = readdirSync(directory);
    const before = statSync(join(directory, name)).ino;
    await memory.remember(place, { id, isEncrypted: true }, new Map([['web', first]]));
    expect(statSync(join(directory, name)).ino).toBe(before);
    await memory.remember(place, { id, isEncrypted: true }, new Map([['web', second]]));
    expect(statSync(join(directory, name)).ino).not.toBe(before);
  });

  test('fails with the name of a file that cannot be written', async () => {
    writeFileSync(join(scratch, 'file'), '');
    const nowhere = createStoreMemory(join(scratch, 'file', 'stores'));
    expect(await codeOf(() => nowhere.remember(place, { id, isEncrypted: true }))).toBe('not-permitted');
  });
});
