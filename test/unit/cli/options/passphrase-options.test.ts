import { describe, expect, test } from '@jest/globals';
import {
  readNewPassphraseOptions,
  readPassphraseOptions,
} from '../../../../src/cli/options/passphrase-options.ts';
import { codeOf } from '../../../support/failures.ts';

const none = { file: null, command: null, keyFile: null };

describe('the source of a passphrase', () => {
  test('is an option or the environment', () => {
    expect(readPassphraseOptions({}, {})).toMatchObject(none);
    expect(readPassphraseOptions({ 'passphrase-file': 'f' }, {})).toMatchObject({ ...none, file: 'f' });
    expect(readPassphraseOptions({ 'passphrase-command': 'c' }, {})).toMatchObject({ ...none, command: 'c' });
    expect(readPassphraseOptions({ 'key-file': 'k' }, {})).toMatchObject({ ...none, keyFile: 'k' });
    expect(readPassphraseOptions({}, { VMFERRY_PASSPHRASE_FILE: 'f' })).toMatchObject({ ...none, file: 'f' });
    expect(readPassphraseOptions({}, { VMFERRY_PASSPHRASE_COMMAND: 'c' })).toMatchObject({
      ...none,
      command: 'c',
    });
    expect(readPassphraseOptions({}, { VMFERRY_PASSPHRASE_FILE: '' })).toMatchObject(none);
  });

  test('is the option if both are set', () => {
    const environment = { VMFERRY_PASSPHRASE_FILE: 'f', VMFERRY_PASSPHRASE_COMMAND: 'c' };
    expect(readPassphraseOptions({ 'key-file': 'k' }, environment)).toMatchObject({ ...none, keyFile: 'k' });
  });

  test('is given only once', async () => {
    const both = { VMFERRY_PASSPHRASE_FILE: 'f', VMFERRY_PASSPHRASE_COMMAND: 'c' };
    expect(await codeOf(() => readPassphraseOptions({}, both))).toBe('usage');
    expect(await codeOf(() => readPassphraseOptions({ 'passphrase-file': 'f', 'key-file': 'k' }, {}))).toBe(
      'usage',
    );
    expect(await codeOf(() => readPassphraseOptions({ 'passphrase-file': '' }, {}))).toBe('usage');
    const twice = { 'new-passphrase-file': 'f', 'new-passphrase-command': 'c' };
    expect(await codeOf(() => readNewPassphraseOptions(twice))).toBe('usage');
  });

  test('is separate for a new passphrase', () => {
    expect(readNewPassphraseOptions({ 'passphrase-file': 'old' })).toMatchObject(none);
    expect(readNewPassphraseOptions({ 'new-passphrase-file': 'f' })).toMatchObject({ ...none, file: 'f' });
  });
});
