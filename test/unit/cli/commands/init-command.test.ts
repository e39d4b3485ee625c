import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { initCommand, storeMadeText } from '../../../../src/cli/commands/init.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import { openBackupStore } from '../../../../src/operations/store-access/open-backup-store.ts';
import type { StoreDependencies } from '../../../../src/operations/store-access/store-dependencies.ts';
import { createStoreMemory } from '../../../../src/repository/store-memory.ts';
import { openDirectoryStore } from '../../../../src/store/directory/directory-store.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';

let scratch: string;
let dependencies: StoreDependencies;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vmferry-init-'));
  const memory = createStoreMemory(join(scratch, 'state'));
  dependencies = {
    environment: { HOME: scratch },
    openStoreAt: (location, options, context) =>
      openBackupStore(
        location,
        options,
        {
          openDirectory: openDirectoryStore,
          connect: () => Promise.reject(new Error('something was connected with')),
          memory,
        },
        context,
      ),
    storeMemory: memory,
    random: randomBytes,
    now: () => new Date('2026-11-22T03:00:00Z'),
  };
  mkdirSync(join(scratch, '.config/vmferry'), { recursive: true });
  writeFileSync(
    join(scratch, '.config/vmferry/config.yaml'),
    `stores: { offsite: { location: ${scratch}/offsite } }\n`,
  );
  writeFileSync(join(scratch, 'passphrase'), 'correct horse battery\n', { mode: 0o600 });
});
afterEach(() => {
  rmSync(scratch, { recursive: true });
});

async function init(...args: string[]) {
  const options = { version: '0', columns: 80 };
  const parsed = await parseCommandLine(['init', ...args], [initCommand], options);
  if (parsed.kind !== 'command') throw new Error(parsed.text);
  return parsed.run({
    dependencies,
    context: { signal: new AbortController().signal, report: () => undefined },
    stdin: new PassThrough(),
    stdout: new PassThrough(),
  });
}

test('a store is made in a new directory, encrypted or plain', async () => {
  const plain = await init(`${scratch}/plain`, '--no-encrypt');
  expect(plain.record).toMatchObject({ type: 'store-made', store: `${scratch}/plain`, encrypted: false });
  expect(readdirSync(join(scratch, 'plain'))).toEqual(['vmferry-store.json']);
  const sealed = await init('offsite', '--encrypt', '--passphrase-file', join(scratch, 'passphrase'));
  expect(sealed.record).toMatchObject({ store: `${scratch}/offsite`, encrypted: true });
  expect(readdirSync(join(scratch, 'offsite')).toSorted()).toEqual(['keys', 'vmferry-store.json']);
});

test('an existing store is not changed', async () => {
  await init('offsite', '--no-encrypt');
  const again = await failureOf(() => init('offsite', '--no-encrypt'));
  expect(again).toMatchObject({
    code: 'target-exists',
    message: expect.stringMatching(/it is not encrypted/),
  });
  expect(readdirSync(join(scratch, 'offsite'))).toEqual(['vmferry-store.json']);
});

test.each([
  ['a name that the configuration does not have', ['offsit', '--no-encrypt'], /mean offsite/],
  ['neither word about encryption', ['offsite'], /whether the new store is encrypted/],
  ['both words about encryption', ['offsite', '--encrypt', '--no-encrypt'], /exclude each other/],
])('no store is made for %s', async (_what, args, message) => {
  const failure = await failureOf(() => init(...args));
  expect(failure).toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
  expect(readdirSync(scratch).toSorted()).toEqual(['.config', 'passphrase']);
});

test('no store is made without a passphrase, with a short one, or with a passphrase and --no-encrypt', async () => {
  const none = await failureOf(() => init('offsite', '--encrypt'));
  expect(none).toMatchObject({
    code: 'key-missing',
    message: 'No new passphrase was given.',
    advice: 'Give it with --passphrase-file or --passphrase-command.',
  });
  writeFileSync(join(scratch, 'short'), 'short\n', { mode: 0o600 });
  expect(await codeOf(() => init('offsite', '--encrypt', '--passphrase-file', join(scratch, 'short')))).toBe(
    'usage',
  );
  const passphrase = ['--passphrase-file', join(scratch, 'passphrase')];
  expect(await codeOf(() => init('offsite', '--no-encrypt', ...passphrase))).toBe('usage');
  expect(readdirSync(scratch)).not.toContain('offsite');
});

test('the result shows the next commands', () => {
  const made = { store: 'box:/home/backup/vmferry', encrypted: true };
  const text = storeMadeText(made, 'sftp://backup@box:2222/./vmferry');
  expect(text).toMatch(
    /Without its passphrase.*\n.*vmferry key export sftp:\/\/backup@box:2222\/\.\/vmferry\n/,
  );
  expect(text).toMatch(/vmferry backup GUEST --to sftp:\/\/backup@box:2222\/\.\/vmferry$/);
  expect(storeMadeText(made, null)).toMatch(/key export\n.*backup GUEST$/);
  expect(storeMadeText({ ...made, encrypted: false }, './a b')).toMatch(
    /can read the guests\.\n.*backup GUEST --to '\.\/a b'$/,
  );
});
