import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { explainSlowCiphers, type CipherBuild } from './ciphers-cure.ts';

const load = createRequire(import.meta.url);

/** ssh2 compiles its ciphers when it is installed. Only an internal module tells whether that succeeded. */
export function hasNativeCiphers(): boolean {
  return (load('ssh2/lib/protocol/crypto.js') as { bindingAvailable?: boolean }).bindingAvailable === true;
}

/** Explains why ssh2's compiled ciphers are not in use, and how to get them. */
export function whyCiphersAreSlow(): string {
  const ssh2 = dirname(load.resolve('ssh2/package.json'));
  return explainSlowCiphers(lookAtCipherBuild(ssh2, process.env, dirname(dirname(process.execPath))));
}

/** Checks what a build has left in ssh2's folder, and what a build would find on this machine. */
export function lookAtCipherBuild(ssh2: string, env: NodeJS.ProcessEnv, nodePrefix: string): CipherBuild {
  const folder = join(ssh2, 'lib/protocol/crypto/build');
  const addon = join(folder, 'Release/sshcrypto.node');
  return {
    left: existsSync(addon) ? 'addon' : existsSync(folder) ? 'begun' : 'nothing',
    loadError: existsSync(addon) ? loadError(addon) : null,
    missing: missingTools(env),
    headersDownloaded: hasHeaders(downloadedHeaders(env)),
    headersBesideNode: hasHeaders(nodePrefix) ? nodePrefix : null,
    // The directory that npm works in: it contains `node_modules/ssh2`.
    project: dirname(dirname(ssh2)),
    nodeVersion: process.versions.node,
  };
}

function loadError(addon: string): string | null {
  try {
    load(addon);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Programs that node-gyp needs and that are missing, by the names of their Debian packages. */
function missingTools(env: NodeJS.ProcessEnv): string[] {
  const tools = [
    { name: 'g++', programs: env['CXX'] ? [env['CXX']] : ['g++'] },
    { name: 'make', programs: env['MAKE'] ? [env['MAKE']] : ['make'] },
    { name: 'python3', programs: [...(env['PYTHON'] ? [env['PYTHON']] : []), 'python3', 'python'] },
  ];
  return tools
    .filter(({ programs }) => !programs.some((program) => canRun(program, env)))
    .map(({ name }) => name);
}

function canRun(commandLine: string, env: NodeJS.ProcessEnv): boolean {
  // `CXX` may be `ccache g++`.
  const [program = ''] = commandLine.split(' ');
  const directories = program.includes('/') ? [''] : (env['PATH'] ?? '').split(delimiter);
  return directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The directory of the headers that node-gyp has downloaded for this Node. */
function downloadedHeaders(env: NodeJS.ProcessEnv): string {
  const caches = env['XDG_CACHE_HOME'] || join(env['HOME'] ?? homedir(), '.cache');
  return join(caches, 'node-gyp', process.versions.node);
}

/** Whether there are headers of exactly this version: others would build ciphers that this Node cannot load. */
function hasHeaders(prefix: string): boolean {
  try {
    const text = readFileSync(join(prefix, 'include/node/node_version.h'), 'utf8');
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
      (part) => new RegExp(`^#define NODE_${part}_VERSION (\\d+)`, 'm').exec(text)?.[1],
    );
    return parts.join('.') === process.versions.node;
  } catch {
    return false;
  }
}
