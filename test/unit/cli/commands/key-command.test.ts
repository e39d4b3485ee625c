import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { keyCommand } from '../../../../src/cli/commands/key.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import type { StoreDependencies } from '../../../../src/operations/store-access/store-dependencies.ts';
import { initStore } from '../../../../src/repository/keys/store-keys.ts';
import { createStoreMemory } from '../../../../src/repository/store-memory.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';

let scratch: string;
let store: ReturnType<typeof memoryStore>;
let dependencies: StoreDependencies;
const { signal } = new AbortController();
const now = () => new Date('2026-11-22T03:00:00Z');

function secretFile(name: string, content: string): string {
  writeFileSync(join(scratch, name), content, { mode: 0o600 });
  return join(scratch, name);
}

beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'vmferry-key-'));
  store = memoryStore();
  const cost = { N: 2 ** 14, r: 8, p: 1 };
  const first = () => Promise.resolve('correct horse battery');
  await initStore(store, { encrypt: true, cost, random: randomBytes, now }, first, signal);
  dependencies = {
    environment: { HOME: scratch },
    openStoreAt: () => Promise.resolve(store),
    storeMemory: createStoreMemory(join(scratch, 'state')),
    random: randomBytes,
    now,
  };
});

afterEach(() => {
  rmSync(scratch, { recursive: true });
});

/** Runs `vmferry key …`. */
async function key(...words: string[]) {
  const parsed = await parseCommandLine(['key', ...words], [keyCommand], { version: '1', columns: 80 });
  if (parsed.kind === 'text') throw new Error(parsed.text);
  const context = { signal, report: () => undefined };
  return parsed.run({ dependencies, context, stdin: new PassThrough(), stdout: new PassThrough() });
}

describe('vmferry key', () => {
  test('lists, adds, exports and removes keys', async () => {
    const first = ['--passphrase-file', secretFile('first', 'correct horse battery\n')];
    const second = secretFile('second', 'another passphrase\n');
    expect((await key('list', '/srv/x', ...first)).text).toMatch(
      /^key {15}made {21}label\n[0-9a-f]{16} {2}2026-11-2[12] \d\d:\d\d [+-]\d\d:\d\d$/,
    );
    const added = await key('add', '/srv/x', ...first, '--new-passphrase-file', second, '--label', 'safe');
    expect(added.record).toMatchObject({ type: 'key-added' });
    expect((await key('list', '/srv/x', '--passphrase-file', second)).text).toMatch(/safe$/m);

    const { text } = await key('export', '/srv/x', ...first);
    const keyFile = secretFile('key', `${text}\n`);
    const { record } = await key('list', '/srv/x', '--key-file', keyFile);
    expect(record).toMatchObject({
      type: 'keys',
      keys: [{ id: expect.anything() }, { id: expect.anything() }],
    });

    const [, id = ''] = /Added the key ([0-9a-f]{16})/.exec(added.text) ?? [];
    expect((await key('remove', '/srv/x', id, ...first)).text).toContain(
      'the store’s own key has not changed',
    );
    expect(await codeOf(() => key('list', '/srv/x', '--passphrase-file', second))).toBe('key-wrong');
  });

  test('refuses missing and superfluous arguments', async () => {
    const failure = await failureOf(() => key('list', '/srv/x'));
    expect([failure.code, failure.advice]).toEqual([
      'key-missing',
      expect.stringContaining('--passphrase-command'),
    ]);
    const first = ['--passphrase-file', secretFile('first', 'correct horse battery\n')];
    const failed = await failureOf(() => key('add', '/srv/x', ...first));
    expect([failed.code, failed.advice]).toEqual([
      'key-missing',
      expect.stringContaining('--new-passphrase-command'),
    ]);
    expect(await codeOf(() => key('remove', '/srv/x', ...first))).toBe('usage');
    expect(await codeOf(() => key('list', '/srv/x', '0000000000000000', ...first))).toBe('usage');
    expect(await codeOf(() => key('burn', '/srv/x', ...first))).toBe('usage');
  });
});
