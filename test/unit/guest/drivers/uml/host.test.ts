import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { removeUmidDirectory, type UmlHost } from '../../../../../src/guest/drivers/uml/host.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let host: UmlHost;
let outside: string;

beforeEach(() => {
  scratch = scratchDirectory();
  host = { directory: join(scratch.path, 'uml'), directoryIsChosen: true, environment: {} };
  outside = join(scratch.path, 'outside');
  for (const directory of [host.directory, outside]) mkdirSync(directory);
  for (const file of ['pid', 'mconsole']) writeFileSync(join(outside, file), '');
});
afterEach(() => scratch[Symbol.dispose]());

test('the directory that a guest left behind is removed', () => {
  const directory = join(host.directory, 'web');
  mkdirSync(directory);
  writeFileSync(join(directory, 'pid'), '1');
  symlinkSync(join(outside, 'mconsole'), join(directory, 'mconsole'));
  removeUmidDirectory(host, 'web');
  expect(existsSync(directory)).toBe(false);
  expect(readdirSync(outside)).toEqual(['mconsole', 'pid']);
});

test('a link in place of the directory is not followed, and a missing directory is no error', () => {
  symlinkSync(outside, join(host.directory, 'web'));
  removeUmidDirectory(host, 'web');
  removeUmidDirectory(host, 'nobody');
  expect(readdirSync(outside)).toEqual(['mconsole', 'pid']);
});
