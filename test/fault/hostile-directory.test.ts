import {
  chmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { claimPath, readClaim, writeClaim } from '../../src/image/target/partial-claim.ts';
import { ImageTarget } from '../../src/image/target/image-target.ts';
import { findTargetPlace } from '../../src/image/target/target-place.ts';
import { run } from '../../src/system/processes.ts';
import { failureOf } from '../support/failures.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless } from '../support/programs/tools.ts';

const scratch = scratchDirectory();
const MIB = 2 ** 20;
const claim = {
  store: 'ab'.repeat(16),
  guest: 'web',
  snapshot: '20261122T145114Z-9c6f78f5',
  disk: 'web.img',
};
let path: string;
let victim: string;

beforeEach(() => {
  const directory = mkdtempSync(join(scratch.path, 'case-'));
  path = join(directory, 'web.img');
  victim = join(directory, 'victim');
  writeFileSync(victim, Buffer.alloc(MIB, 'v'));
});
afterAll(() => {
  scratch[Symbol.dispose]();
});

/** Changes that the owner of the directory can make at any moment. */
function putLinkInPlace(file: string): void {
  rmSync(file);
  symlinkSync(victim, file);
}
function expectVictimIsUntouched(): void {
  expect(readFileSync(victim).equals(Buffer.alloc(MIB, 'v'))).toBe(true);
}
const place = () => findTargetPlace({ path, sizeBytes: MIB, claim, inPlace: false });

describe('a directory whose owner puts links into it', () => {
  test('a received image is written to the file that was created, whatever is at its path now', async () => {
    await using target = await ImageTarget.create(path, MIB);
    putLinkInPlace(target.workingPath);
    for (const fd of [target.fd, target.directFd ?? target.fd])
      expect(fstatSync(fd).ino).not.toBe(lstatSync(victim).ino);
    expect([...target.dataExtents()]).toEqual([]);
    expect((await failureOf(() => target.publish())).message).toContain('somebody has replaced it');
    expect(() => lstatSync(path)).toThrow();
    expectVictimIsUntouched();
  });

  test('a restored image is never published as another file', async () => {
    await using target = await ImageTarget.open(await place(), MIB, claim);
    putLinkInPlace(target.workingPath);
    expect((await failureOf(() => target.publish())).message).toContain('somebody has replaced it');
    expect(() => lstatSync(path)).toThrow();
    expectVictimIsUntouched();
  });

  test('a file to be overwritten is refused if another file has taken its place', async () => {
    writeFileSync(path, Buffer.alloc(MIB));
    const found = await findTargetPlace({ path, sizeBytes: MIB, claim, inPlace: true });
    putLinkInPlace(path);
    expect((await failureOf(() => ImageTarget.open(found, MIB, claim))).code).toBe('target-exists');
    expectVictimIsUntouched();
  });
});

describe('a restore that was broken off', () => {
  beforeEach(async () => {
    await writeClaim(path, claim);
    writeFileSync(`${path}.partial`, '', { mode: 0o600 });
    truncateSync(`${path}.partial`, MIB);
  });

  test('goes on in its own file', async () => {
    const found = await place();
    expect(found.kind).toBe('partial-file');
    await using target = await ImageTarget.open(found, MIB, claim);
    expect(target.kind).toBe('partial-file');
  });

  test.each([
    ['has a second name', () => linkSync(`${path}.partial`, `${victim}.second`), 'a second name'],
    ['may be written by others', () => chmodSync(`${path}.partial`, 0o666), 'other accounts may write to it'],
    ['is a link', () => putLinkInPlace(`${path}.partial`), 'not a regular file'],
    [
      'lies where others may write',
      () => chmodSync(join(path, '..'), 0o777),
      'other accounts may write to the directory',
    ],
  ])('does not go on in a file that %s, and leaves it alone', async (_what, change, why) => {
    change();
    const failure = await failureOf(place);
    expect(failure.code).toBe('target-exists');
    expect(failure.message).toContain(why);
    expect(lstatSync(`${path}.partial`)).toBeDefined();
    expectVictimIsUntouched();
  });

  test('is not continued if its claim is a link or a FIFO', async () => {
    renameSync(claimPath(path), `${victim}.claim`);
    symlinkSync(`${victim}.claim`, claimPath(path));
    expect(await readClaim(path)).toBeNull();
    rmSync(claimPath(path));
    await run('mkfifo', [claimPath(path)]);
    expect(await readClaim(path)).toBeNull();
  });

  test('is checked again when its file is opened', async () => {
    const found = await place();
    linkSync(`${path}.partial`, `${victim}.second`);
    expect((await failureOf(() => ImageTarget.open(found, MIB, claim))).message).toContain('a second name');
  });
});

const noRoot = process.geteuid?.() === 0 ? null : 'only root may give files away';
describeUnless(noRoot, 'as root', () => {
  test('a restore is not continued with a partial file of another account', async () => {
    await writeClaim(path, claim);
    writeFileSync(`${path}.partial`, Buffer.alloc(MIB), { mode: 0o600 });
    await run('chown', ['12345', `${path}.partial`]);
    expect((await failureOf(place)).message).toContain('belongs to another account');
  });
});
