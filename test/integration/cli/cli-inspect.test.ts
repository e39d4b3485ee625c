import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programFile, vmferry } from '../../support/programs/command-line.ts';
import { describeWithTools, findTool } from '../../support/programs/tools.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-cli-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

describeWithTools('inspect', ['mke2fs'], () => {
  let image: string;
  beforeAll(() => {
    image = join(directory, 'web.img');
    writeFileSync(image, '');
    truncateSync(image, 64 * 2 ** 20);
    const { status } = spawnSync(findTool('mke2fs') ?? '', ['-qF', '-t', 'ext3', '-L', 'root', image]);
    expect(status).toBe(0);
  });

  test('shows the contents of an image', async () => {
    const { exitStatus, stdout, stderr } = await vmferry(['inspect', image]);
    expect(stderr).toBe('');
    expect(exitStatus).toBe(0);
    expect(stdout).toMatch(/^ +size +64\.0 MiB$/m);
    expect(stdout).toMatch(/^ +0 B +64\.0 MiB +ext3 +root +clean +/m);
  });

  test('with --json is one line, and its bytes add up', async () => {
    const { exitStatus, stdout } = await vmferry(['inspect', image, '--json']);
    expect(exitStatus).toBe(0);
    const report = JSON.parse(stdout) as Record<string, number>;
    expect(report).toMatchObject({ type: 'image', path: image, sizeBytes: 64 * 2 ** 20, users: [] });
    const { holeBytes = 0, freeBytes = 0, sendBytes = 0 } = report;
    expect(holeBytes + freeBytes + sendBytes).toBe(64 * 2 ** 20);
  });

  test('names the users of the image', async () => {
    const { stdout } = spawnSync(
      'bash',
      [
        '-c',
        'exec 9<>"$1"; shift; "$@" 9>&-; :',
        'holder',
        image,
        process.execPath,
        programFile,
        'inspect',
        image,
      ],
      { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
    );
    expect(stdout).toMatch(/used by +.*bash/);
  });
});

describe('bad input', () => {
  test.each([
    [['inspect', '/nowhere/web.img'], 10, 'error: '],
    [['inspect', '/'], 10, 'error: '],
    [['inspect'], 2, 'The argument image is missing.'],
    [['migrate', 'web', '--to', 'newhost:relative'], 2, 'absolute path'],
    [['frobnicate'], 2, 'There is no command "frobnicate"'],
    [[], 2, 'A command is missing'],
  ])('%j ends with %d', async (args, status, message) => {
    const { exitStatus, stdout, stderr } = await vmferry(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(stdout).toBe('');
    expect(exitStatus).toBe(status);
  });

  test('an image of 0 bytes is refused', async () => {
    const empty = join(directory, 'empty.img');
    writeFileSync(empty, '');
    const { exitStatus, stdout } = await vmferry(['inspect', empty, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'image-not-a-disk', exitStatus: 10 });
    expect(exitStatus).toBe(10);
  });
});

describe('stdout', () => {
  function inShell(line: string) {
    const shell = ['-c', `set -o pipefail; ${line}`, 'shell', process.execPath, programFile];
    return spawnSync('bash', shell, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
  }

  test('with a closed reader is no error', () => {
    const { status, stderr } = inShell('"$1" "$2" --help | true');
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('on a full disk is an error', () => {
    const { status, stderr } = inShell('"$1" "$2" --help >/dev/full');
    expect(stderr).toContain('The output could not be written');
    expect(status).toBe(15);
  });
});
