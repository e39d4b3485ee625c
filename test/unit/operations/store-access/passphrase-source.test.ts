import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createPassphraseSource,
  type AskSecret,
  type PassphraseRequest,
} from '../../../../src/operations/store-access/passphrase-source.ts';
import { storeKeyText } from '../../../../src/repository/keys/store-key-text.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';

let scratch: string;
let file: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vmferry-passphrase-'));
  file = join(scratch, 'passphrase');
});

afterEach(() => {
  rmSync(scratch, { recursive: true });
});

const { signal } = new AbortController();

function source(request: Partial<PassphraseRequest>, ask: AskSecret | null = null) {
  const options = '--passphrase-file';
  return createPassphraseSource(
    { file: null, command: null, keyFile: null, options, ...request },
    ask,
    signal,
  );
}

function write(content: string | Uint8Array, mode = 0o600): void {
  writeFileSync(file, content);
  chmodSync(file, mode);
}

describe('a passphrase from a file', () => {
  test('is exactly its first line', async () => {
    for (const [content, passphrase] of [
      ['correct horse', 'correct horse'],
      ['correct horse\n', 'correct horse'],
      ['correct horse\r\nsecond line\n', 'correct horse'],
      [' spaces count \n\n', ' spaces count '],
      ['Schlüssel\n', 'Schlüssel'],
    ] as const) {
      write(content);
      expect(await source({ file })('open')).toBe(passphrase);
    }
  });

  test('is refused if everybody may read or change the file', async () => {
    for (const mode of [0o644, 0o604, 0o602]) {
      write('correct horse\n', mode);
      const failure = await failureOf(() => source({ file })('open'));
      expect(failure.code).toBe('key-missing');
      expect(failure.advice).toContain(`chmod 600 ${file}`);
    }
    for (const mode of [0o600, 0o400, 0o640]) {
      write('correct horse\n', mode);
      expect(await source({ file })('open')).toBe('correct horse');
    }
  });

  test('is refused if the file is missing, empty, too long or not text', async () => {
    expect(await codeOf(() => source({ file })('open'))).toBe('key-missing');
    expect(await codeOf(() => source({ file: scratch })('open'))).toBe('key-missing');
    for (const content of ['', '\n', '\nsecond', Buffer.from([0xff, 0xfe, 0x41]), Buffer.alloc(5000, 'a')]) {
      write(content);
      expect(await codeOf(() => source({ file })('open'))).toBe('key-missing');
    }
  });
});

describe('a passphrase from a command', () => {
  test('is the first line that it prints', async () => {
    expect(await source({ command: 'echo "correct $0"; echo second' })('open')).toBe('correct sh');
  });

  test('is missing if the command fails, and the message has its output', async () => {
    const failure = await failureOf(() => source({ command: 'echo locked >&2; exit 3' })('open'));
    expect(failure.code).toBe('key-missing');
    expect(failure.message).toMatch(/status 3: locked$/);
    expect(await codeOf(() => source({ command: 'true' })('open'))).toBe('key-missing');
    expect(await codeOf(() => source({ command: String.raw`printf '\377\376'` })('open'))).toBe(
      'key-missing',
    );
    expect(await codeOf(() => source({ command: 'kill -9 $$' })('open'))).toBe('key-missing');
  });
});

describe('the key of a store from a file', () => {
  const key = new Uint8Array(randomBytes(32));

  test('is read back as it was exported', async () => {
    write(storeKeyText({ storeId: '0'.repeat(32), key }));
    expect(await source({ keyFile: file })('open')).toEqual({ storeKey: key });
  });

  test('is refused if it has a typing error, or everybody may read the file', async () => {
    const text = storeKeyText({ storeId: '0'.repeat(32), key });
    write(text.replace('store 0', 'store 1'));
    expect(await codeOf(() => source({ keyFile: file })('open'))).toBe('key-wrong');
    write(text, 0o644);
    expect(await codeOf(() => source({ keyFile: file })('open'))).toBe('key-missing');
  });
});

describe('without a file and a command', () => {
  test('the user is asked, twice for a new passphrase', async () => {
    const questions: string[] = [];
    const ask: AskSecret = (question) => {
      questions.push(question);
      return Promise.resolve('correct horse');
    };
    expect(await source({}, ask)('open')).toBe('correct horse');
    expect(questions).toHaveLength(1);
    expect(await source({}, ask)('new')).toBe('correct horse');
    expect(questions).toHaveLength(3);
  });

  test('two different answers are refused', async () => {
    let answers = 0;
    expect(await codeOf(() => source({}, () => Promise.resolve(`answer ${answers++}`))('new'))).toBe('usage');
  });

  test('and without a terminal the passphrase is missing, and the advice names the options', async () => {
    const failure = await failureOf(() => source({})('open'));
    expect(failure.code).toBe('key-missing');
    expect(failure.advice).toContain('--passphrase-file');
  });
});
