import { afterAll, expect, test } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { programFile } from '../../support/programs/command-line.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { run } from '../../../src/system/processes.ts';

const scratch = scratchDirectory();
const env = {
  ...process.env,
  NODE_OPTIONS: '',
  VMFERRY_STATE_DIR: join(scratch.path, 'state'),
  HOME: scratch.path,
};
afterAll(() => {
  scratch[Symbol.dispose]();
});

/** Runs a line of shell, then the built vmferry. */
const afterShell = (line: string, ...args: readonly string[]) =>
  run('sh', ['-c', `${line} && exec "$@"`, 'sh', process.execPath, programFile, ...args], { env });

test.each([24, 48])(
  'with at most %d open files the failure names the limit, and how to raise it',
  async (limit) => {
    const { exitStatus, stdout, stderr } = await afterShell(`ulimit -n ${limit}`, 'list', scratch.path);
    expect({ exitStatus, stdout, stderr }).toEqual({
      exitStatus: 10,
      stdout: '',
      stderr: expect.stringMatching(/may not open any more files.*ulimit -n 1024/s),
    });
  },
);

test.each([['--help'], ['list', '/nowhere'], ['list', 'here']])(
  'in a directory that was deleted: %s says so',
  async (...args) => {
    const gone = join(scratch.path, 'gone');
    mkdirSync(gone);
    const { exitStatus, stderr } = await afterShell(`cd '${gone}' && rmdir '${gone}'`, ...args);
    expect({ exitStatus, stderr }).toEqual({
      exitStatus: 2,
      stderr: expect.stringMatching(/^error: The directory that you are in was deleted[.]\n/),
    });
  },
);
