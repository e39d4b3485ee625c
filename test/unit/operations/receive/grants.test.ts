import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Grants } from '../../../../src/operations/receive/grants.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

let scratch: Disposable & { path: string };
let keyFile: string;
let image: string;
beforeEach(() => {
  scratch = scratchDirectory();
  keyFile = join(scratch.path, 'state', 'grant-key');
  image = join(scratch.path, 'image');
  writeFileSync(image, 'image');
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

/** Asks as a later receiver does. Returns what it reads; null if it is refused. */
async function readWith(grant: string, path = image): Promise<string | null> {
  const file = await new Grants(keyFile).open(path, grant);
  try {
    return (await file?.readFile('utf8')) ?? null;
  } finally {
    await file?.close();
  }
}

const madeUp = 'ab'.repeat(32);

test('a grant is for one file under one name', async () => {
  const grants = new Grants(keyFile);
  const grant = await grants.grant(image);
  expect(await readWith(grant)).toBe('image');
  expect(await readWith(madeUp)).toBeNull();
  const other = join(scratch.path, 'other');
  copyFileSync(image, other);
  expect(await readWith(grant, other)).toBeNull();
  expect(await readWith(await grants.grant(other))).toBeNull();
  renameSync(other, image);
  expect(await readWith(grant)).toBeNull();
  rmSync(image);
  expect(await readWith(grant)).toBeNull();
});

test('a file without a grant is not opened', async () => {
  const grant = await new Grants(keyFile).grant(image);
  const pipe = join(scratch.path, 'pipe');
  expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
  // Opening it to write waits until it is opened to read.
  let wasOpened = false;
  const writer = open(pipe, 'w').then(async (file) => {
    wasOpened = true;
    await file.close();
  });
  try {
    expect(await readWith(madeUp, pipe)).toBeNull();
    expect(await readWith(grant, pipe)).toBeNull();
    await delay(50);
    expect(wasOpened).toBe(false);
  } finally {
    // This one does not wait for anybody.
    const both = await open(pipe, 'r+');
    await writer;
    await both.close();
  }
});

test.each(['', '\n', 'a1'.repeat(31), `${'a1'.repeat(32)}\n`, 'x'.repeat(64)])(
  'a damaged key is none, and is replaced when a grant is made: %j',
  async (damaged) => {
    const grants = new Grants(keyFile);
    await grants.grant(image);
    writeFileSync(keyFile, damaged);
    // Whoever knows the damaged key could make this.
    const { dev, ino, rdev } = statSync(image, { bigint: true });
    const forged = createHmac('sha256', damaged).update(`${dev}:${ino}:${rdev}\0${image}`).digest('hex');
    expect(await readWith(forged)).toBeNull();
    expect(readFileSync(keyFile, 'utf8')).toBe(damaged);
    const grant = await grants.grant(image);
    expect(readFileSync(keyFile, 'utf8')).toMatch(/^[0-9a-f]{64}$/);
    expect(await readWith(grant)).toBe('image');
  },
);
