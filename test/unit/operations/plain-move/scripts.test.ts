import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  lookScript,
  parseLook,
  parseSum,
  publishScript,
  removeScript,
  settleScript,
  sumScript,
  writeScript,
} from '../../../../src/operations/plain-move/scripts.ts';
import { sha256Of } from '../../../support/archives/read-back.ts';
import { scratchDirectory, seededBytes } from '../../../support/images/images.ts';
import { describeWithTools } from '../../../support/programs/tools.ts';

const MIB = 2 ** 20;

let scratch: ReturnType<typeof scratchDirectory>;
let path: string;

beforeEach(() => {
  scratch = scratchDirectory();
  path = join(scratch.path, `it's "a" $(disk) -n.img`);
});
afterEach(() => scratch[Symbol.dispose]());

function sh(script: string, input: Uint8Array = Buffer.alloc(0), environment = process.env): string {
  return execFileSync('/bin/sh', ['-c', script], {
    input,
    encoding: 'utf8',
    env: environment,
    stdio: 'pipe',
  });
}

describeWithTools('the scripts for the other machine', ['bzip2', 'bunzip2', 'dd', 'sha256sum'], () => {
  test('write a disk with its holes, say its SHA-256, and give it its name', () => {
    const disk = Buffer.concat([
      seededBytes(1, MIB),
      Buffer.alloc(3 * MIB),
      seededBytes(2, 5000),
      Buffer.alloc(MIB),
    ]);
    const packed = execFileSync('bzip2', ['-c'], { input: disk, maxBuffer: 8 * MIB });
    const partial = `${path}.partial`;
    for (const isSparse of [true, false]) {
      sh(writeScript(partial, isSparse), packed);
      expect(readFileSync(partial).equals(disk)).toBe(true);
      expect(statSync(partial).mode & 0o777).toBe(0o600);
      if (isSparse) expect(statSync(partial).blocks * 512).toBeLessThan(2 * MIB);
      expect(parseSum(sh(sumScript(partial)))).toBe(sha256Of(disk));
      const files = [{ partial, path }];
      sh(publishScript(files));
      expect(readFileSync(path).equals(disk)).toBe(true);
      if (isSparse) sh(removeScript(files));
      else sh(settleScript(files));
      expect(existsSync(partial)).toBe(false);
      expect(existsSync(path)).toBe(!isSparse);
    }
  });

  test('fail if bunzip2 fails, whatever dd says', () => {
    const packed = execFileSync('bzip2', ['-c'], { input: seededBytes(1, MIB), maxBuffer: 8 * MIB });
    expect(() => sh(writeScript(path, true), packed.subarray(0, -100))).toThrow(/bunzip2/);
  });

  test('never overwrite what is there', () => {
    writeFileSync(path, 'precious');
    writeFileSync(`${path}.partial`, 'new');
    expect(() => sh(writeScript(path, true))).toThrow();
    const files = [{ partial: `${path}.partial`, path }];
    expect(() => sh(publishScript(files))).toThrow();
    expect(readFileSync(`${path}.partial`, 'utf8')).toBe('new');
    sh(removeScript(files));
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(existsSync(`${path}.partial`)).toBe(false);
  });

  test('tell what is wrong there', () => {
    const good = parseLook(sh(lookScript(scratch.path, [path])));
    expect(good).toMatchObject({
      missingPrograms: [],
      directory: 'there',
      taken: [],
      isSparse: true,
      hasLinks: true,
    });
    expect(good.freeBytes).toBeGreaterThan(MIB);
    expect(readdirSync(scratch.path)).toEqual([]);
    writeFileSync(path, '');
    expect(parseLook(sh(lookScript(scratch.path, [path]))).taken).toEqual([path]);
    expect(parseLook(sh(lookScript(join(scratch.path, 'no'), [path]))).directory).toBe('missing');
    const nothing = sh(lookScript(scratch.path, [path]), Buffer.alloc(0), { PATH: scratch.path });
    expect(parseLook(nothing)).toMatchObject({
      missingPrograms: ['bunzip2', 'dd', 'sha256sum'],
      isSparse: false,
      freeBytes: null,
    });
  });
});

test('anything but a SHA-256 is none', () => {
  expect(parseSum(`${'0'.repeat(64)}  -\n`)).toBe('0'.repeat(64));
  for (const text of ['', 'sha256sum: no\n', `${'0'.repeat(63)}  -\n`, `${'0'.repeat(64)}`])
    expect(parseSum(text)).toBeNull();
});
