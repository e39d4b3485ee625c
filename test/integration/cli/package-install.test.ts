import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run } from '../../../src/system/processes.ts';
import { makeSparseFile, patchFile, seededBytes } from '../../support/images/images.ts';
import { startSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const projectDirectory = join(import.meta.dirname, '../../..');
/** Built where a compiler and Node's headers are to be had. */
const compiledCiphers = 'node_modules/ssh2/lib/protocol/crypto/build/Release/sshcrypto.node';
let directory: string;
let tarball: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-package-'));
  // The build is there already, and other tests are running it: `prepack` would write it anew under them.
  const packed = npm('pack', '--ignore-scripts', '--json', '--pack-destination', directory, projectDirectory);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  tarball = join(directory, filename);
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

test('the package holds what it needs, and none of what it is made from', () => {
  const { stdout } = spawnSync('tar', ['-tf', tarball], { encoding: 'utf8' });
  const files = stdout.split('\n');
  for (const file of ['bin/vmferry.js', 'dist/index.d.ts', 'doc/errors.md', 'README.md', 'LICENSE'])
    expect(files).toContain(`package/${file}`);
  // What the README and the documents name is there: a store can be restored without vmferry.
  const restoring = ['restore-encrypted.py', 'restore-snapshot.sh', 'restore.sh'].map(
    (name) => `package/fixtures/${name}`,
  );
  expect(files.filter((file) => file.startsWith('package/fixtures/')).toSorted()).toEqual(restoring);
  expect(files.filter((file) => /^package\/(src|test|node_modules)\//.test(file))).toEqual([]);
});

describeWithTools('installed globally', ['sshd', 'ssh'], () => {
  describe.each([
    { how: 'with its install scripts', options: ['--allow-scripts=ssh2'], prefix: 'fast' },
    { how: 'without', options: ['--ignore-scripts'], prefix: 'plain' },
  ])('$how', ({ options, prefix }) => {
    let program: string;
    let hasCiphers: boolean;
    beforeAll(() => {
      const to = join(directory, prefix);
      mkdirSync(to);
      npm('install', '--global', '--prefix', to, '--prefer-offline', '--no-audit', ...options, tarball);
      program = join(to, 'bin', 'vmferry');
      hasCiphers = hasCompiledCiphers(prefix);
    });

    test('its ciphers are compiled only with them', () => {
      if (prefix === 'plain' || process.env['CI'] === 'true') expect(hasCiphers).toBe(prefix === 'fast');
    });

    test('it says its version', () => {
      const { version } = JSON.parse(readFileSync(join(projectDirectory, 'package.json'), 'utf8')) as {
        version: string;
      };
      expect(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout).toBe(`${version}\n`);
    });

    test('it inspects an image', () => {
      const image = join(directory, `${prefix}-inspected.img`);
      makeSparseFile(image, 2 ** 20);
      const { stdout, stderr } = spawnSync(program, ['inspect', image], { encoding: 'utf8' });
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^ +size +1\.00 MiB$/m);
    });

    test('it moves an image to a machine that has it, too', async () => {
      const [image, there] = [join(directory, `${prefix}.img`), join(directory, `${prefix}-there`)];
      makeSparseFile(image, 32 * 2 ** 20);
      patchFile(image, 5 * 2 ** 20, seededBytes(7, 3 * 2 ** 20));
      mkdirSync(there);
      const path = [dirname(process.execPath), process.env['PATH']].join(delimiter);
      await using server = await startSshServer({
        sshdConfig: [`SetEnv "PATH=${path}" "VMFERRY_STATE_DIR=${there}-state"`],
      });
      const target = ['--to', `${server.destination}:${there}`, '-F', server.sshConfigFile];
      const args = ['migrate', image, ...target, '--remote-command', program, '--json'];
      const moved = await run(program, args, {
        env: { ...process.env, NODE_OPTIONS: '', VMFERRY_STATE_DIR: join(directory, `${prefix}-state`) },
      });
      const events = moved.stdout.trim().split('\n').map(parseEvent);
      expect(events.at(-1)).toMatchObject({ type: 'moved', guest: `${prefix}.img`, booted: null });
      const slow = events.find(({ code }) => code === 'slow-ciphers');
      expect(slow !== undefined).toBe(!hasCiphers);
      expect(moved.exitStatus).toBe(0);
      expect(readFileSync(join(there, `${prefix}.img`)).equals(readFileSync(image))).toBe(true);
      if (slow === undefined) return;

      // What the warning says to type builds the ciphers, where they can be built.
      const [, typed = ''] = /`(.*rebuild ssh2.*?)`/.exec(slow.message ?? '') ?? [];
      expect(typed).not.toBe('');
      const built = spawnSync('sh', ['-c', typed], {
        encoding: 'utf8',
        env: { ...process.env, NODE_OPTIONS: '' },
      });
      expect(built.stdout + built.stderr).toContain('optional crypto binding');
      expect(hasCompiledCiphers(prefix)).toBe(hasCompiledCiphers('fast'));
    });
  });
});

function hasCompiledCiphers(prefix: string): boolean {
  return existsSync(join(directory, prefix, 'lib', 'node_modules', 'vmferry', compiledCiphers));
}

/** Gives what it printed on stdout; throws with all of it when it fails. */
function npm(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('npm', args, {
    encoding: 'utf8',
    cwd: directory,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

function parseEvent(line: string): { type: string; code?: string; message?: string } {
  return JSON.parse(line) as { type: string; code?: string; message?: string };
}
