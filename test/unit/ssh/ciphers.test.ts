import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { lookAtCipherBuild } from '../../../src/ssh/ciphers.ts';
import type { CipherBuild } from '../../../src/ssh/ciphers-cure.ts';

const build = 'node_modules/ssh2/lib/protocol/crypto/build';
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-ciphers-'));
  for (const tool of ['g++', 'make', 'python3']) put(`bin/${tool}`, '');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function put(name: string, text: string): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

const look = (env: NodeJS.ProcessEnv = {}): CipherBuild => {
  const PATH = [join(directory, 'nowhere'), join(directory, 'bin')].join(delimiter);
  const ssh2 = join(directory, 'node_modules/ssh2');
  return lookAtCipherBuild(ssh2, { PATH, HOME: join(directory, 'home'), ...env }, join(directory, 'node'));
};

function putHeaders(prefix: string, version: string): void {
  const [major, minor, patch] = version.split('.');
  put(
    `${prefix}/include/node/node_version.h`,
    `#define NODE_MAJOR_VERSION ${major}\n#define NODE_MINOR_VERSION ${minor}\n#define NODE_PATCH_VERSION ${patch}\n`,
  );
}

test('an unpacked ssh2 without a build folder: nothing was built', () => {
  expect(look()).toEqual({
    left: 'nothing',
    loadError: null,
    missing: [],
    headersDownloaded: false,
    headersBesideNode: null,
    project: directory,
    nodeVersion: process.versions.node,
  });
});

test('a build folder without the ciphers: the build was begun', () => {
  put(`${build}/Makefile`, '');
  expect(look().left).toBe('begun');
});

test('ciphers that this Node cannot load: its error is kept', () => {
  put(`${build}/Release/sshcrypto.node`, 'not a library');
  expect(look()).toMatchObject({ left: 'addon', loadError: expect.stringMatching(/sshcrypto\.node.*\w/) });
});

test('tools that are not on the PATH are missing', () => {
  rmSync(join(directory, 'bin/g++'));
  chmodSync(join(directory, 'bin/make'), 0o644);
  expect(look().missing).toEqual(['g++', 'make']);
  expect(look({ PATH: '' }).missing).toEqual(['g++', 'make', 'python3']);
});

test('the compiler that CXX names counts', () => {
  rmSync(join(directory, 'bin/g++'));
  put('bin/clang++', '');
  expect(look({ CXX: 'clang++ -stdlib=libc++' }).missing).toEqual([]);
});

test('headers of this Node are found, downloaded or beside it', () => {
  putHeaders(`home/.cache/node-gyp/${process.versions.node}`, process.versions.node);
  putHeaders('node', process.versions.node);
  expect(look()).toMatchObject({ headersDownloaded: true, headersBesideNode: join(directory, 'node') });
});

test('headers of another version of Node do not count', () => {
  putHeaders('node', '18.20.4');
  expect(look().headersBesideNode).toBeNull();
});
