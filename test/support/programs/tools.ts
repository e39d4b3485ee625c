import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import type { describe as jestDescribe } from '@jest/globals';

/** Jest's own global: importing it would keep the demo, which is no test, from using this file. */
declare const describe: typeof jestDescribe;

/** An ordinary account's PATH lacks the directories of mke2fs and sshd. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Where the program is; null when it is not installed. */
export function findTool(program: string): string | null {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...systemDirectories];
  for (const directory of directories) {
    const file = join(directory, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this directory
    }
  }
  return null;
}

/** Why tests that need these programs cannot run here; null when they can. */
export function toolsMissing(...programs: string[]): string | null {
  const missing = programs.filter((program) => findTool(program) === null);
  return missing.length === 0 ? null : `not installed: ${missing.join(', ')}`;
}

/**
 * A `describe` whose tests need programs of the machine. Where one is missing they are skipped, and their title
 * says why; with CI=true, where all must be there, that is an error.
 */
export function describeWithTools(name: string, programs: readonly string[], body: () => void): void {
  describeUnless(toolsMissing(...programs), name, body);
}

/** The same for any other reason; null: the tests run. */
export function describeUnless(reason: string | null, name: string, body: () => void): void {
  if (reason === null) {
    describe(name, body);
    return;
  }
  if (process.env['CI'] === 'true') throw new Error(`${name}: ${reason}`);
  describe.skip(`${name} (skipped: ${reason})`, body);
}
