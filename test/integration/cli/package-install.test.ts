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
/** The ciphers are built only with a compiler and Node's headers. */
const compiledCiphers = 'node_modules/ssh2/lib/protocol/crypto/build/Release/sshcrypto.node';
let directory: string;
let tarball: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-package-'));
  // Skip `prepack`: it would rebuild the program while other tests run it.
  const packed = npm('pack', '--ignore-scripts', '--json', '--pack-destination', directory, projectDirectory);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  tarball = join(directory, filename);
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

test('the package has what it needs, and no sources', () => {
  const { stdout } = spawnSync('tar', ['-tf', tarball], { encoding: 'utf8' });
  const files = stdout.split('\n');
  for (const file of ['bin/vmferry.js', 'dist/index.d.ts', 'doc/errors.md', 'README.md', 'LICENSE'])
    expect(files).toContain(`package/${file}`);
  // The scripts that restore a store without vmferry are in the package.
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

    test('its ciphers are compiled only with install scripts', () => {
      if (prefix === 'plain' || process.env['CI'] === 'true') expect(hasCiphers).toBe(prefix === 'fast');
    });

    test('it prints its version', () => {
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

    test('it moves an image to a machine that also has it', async () => {
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

      // The command in the warning builds the ciphers, if they can be built.
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

/** Returns the stdout of a program; throws with all its output if it fails. */
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
