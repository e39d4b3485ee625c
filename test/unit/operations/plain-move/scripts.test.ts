import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  lookScript,
  parseLook,
  parseSum,
  publishScript,
  removeScript,
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
      sh(publishScript(partial, path));
      expect(existsSync(partial)).toBe(false);
      expect(readFileSync(path).equals(disk)).toBe(true);
      sh(removeScript([path, partial]));
      expect(existsSync(path)).toBe(false);
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
    expect(() => sh(publishScript(`${path}.partial`, path))).toThrow();
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(readFileSync(`${path}.partial`, 'utf8')).toBe('new');
  });

  test('tell what is wrong there', () => {
    const good = parseLook(sh(lookScript(scratch.path, [path])));
    expect(good).toMatchObject({ missingPrograms: [], directory: 'there', taken: [], isSparse: true });
    expect(good.freeBytes).toBeGreaterThan(MIB);
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
