import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { newcArchive } from '../../../../src/guest/initrd/newc-archive.ts';
import { describeWithTools } from '../../../support/programs/tools.ts';

const entries = [
  { path: 'a', content: 'directory' },
  { path: 'a/program', content: Buffer.from('#!/bin/sh\n'), isExecutable: true },
  { path: 'a/text', content: Buffer.from('five!') },
  { path: 'a/empty', content: new Uint8Array() },
] as const;

test('each entry of an archive begins at a multiple of 4 bytes, and the last is the trailer', () => {
  const archive = newcArchive(entries);
  const text = archive.toString('latin1');
  const starts = [...text.matchAll(/070701/g)].map(({ index }) => index);
  expect(starts).toHaveLength(5);
  expect(starts.every((start) => start % 4 === 0)).toBe(true);
  expect(archive.length % 4).toBe(0);
  expect(text.slice(starts.at(-1)).replaceAll('\0', '')).toMatch(/TRAILER!!!$/);
});

describeWithTools('the program cpio', ['cpio'], () => {
  test('unpacks what was packed', () => {
    const directory = mkdtempSync(join(process.env['VMFERRY_TEST_SCRATCH'] ?? tmpdir(), 'vmferry-newc-'));
    const { status } = spawnSync('cpio', ['-i', '-d', '--quiet'], {
      cwd: directory,
      input: newcArchive(entries),
    });
    expect(status).toBe(0);
    expect(readFileSync(join(directory, 'a/text'), 'utf8')).toBe('five!');
    expect(statSync(join(directory, 'a/program')).mode & 0o777).toBe(0o755);
    expect(statSync(join(directory, 'a/empty')).size).toBe(0);
  });
});
