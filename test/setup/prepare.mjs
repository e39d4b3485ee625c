/**
 * Prepares a fresh clone on a fresh machine for tests or the demo. It runs before anything is installed, so it uses only
 * Node itself.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { missingPackages, withSystemDirectories } from './debian-packages.mjs';

export const projectDirectory = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const oldestNode = [20, 19];

/**
 * Installs what is missing: npm packages always, Debian packages only as root. For an ordinary account it prints the
 * command to run, and tests that need those programs are skipped. Throws an Error with a message for people if the npm
 * packages cannot be installed.
 */
export function prepare() {
  requireNode(process.versions.node);
  process.env.PATH = withSystemDirectories(process.env.PATH);
  // Compilers first: npm builds with them.
  installDebianPackages();
  installNpmPackages();
}

/** Runs a program in the project's directory, with this process's output; returns whether it succeeded. */
export function runVisibly(program, args, env = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: projectDirectory,
    stdio: ['ignore', 1, 1],
    env: { ...process.env, ...env },
  });
  if (error !== undefined) console.log(`${program} could not be run: ${error.message}`);
  return status === 0;
}

function requireNode(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new Error(`vmferry needs Node ${oldestNode.join('.')} or later; this is Node ${version}.`);
}

function installNpmPackages() {
  const reason = npmPackagesStale();
  if (reason === null) return;
  console.log(`Installing the npm packages (${reason}).`);
  if (!runVisibly('npm', ['ci', '--no-audit', '--no-fund'], npmEnvironment()))
    throw new Error('`npm ci` failed; its output above says why. Put that right and try again.');
}

/** Makes `npm ci` install the development packages, too, even if the environment says production. */
function npmEnvironment() {
  return { NODE_ENV: '', npm_config_omit: '', npm_config_production: '' };
}

/** Why the installed packages differ from package-lock.json; null if they do not. */
function npmPackagesStale() {
  const wanted = readLock('package-lock.json');
  const installed = readLock('node_modules/.package-lock.json');
  if (installed === null) return 'none are there';
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    if (found === undefined && optional) continue;
    if (found?.version !== version) return `${path} is ${found?.version ?? 'missing'}, wanted ${version}`;
  }
  return null;
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(join(projectDirectory, file), 'utf8')).packages;
  } catch {
    return null;
  }
}

function installDebianPackages() {
  const missing = missingPackages(process.env.PATH);
  if (missing.length === 0) return;
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  if (process.getuid() !== 0) {
    console.log(
      'Some programs that the tests and the demo use are not here. To have them, run this line first:',
    );
    console.log(`  sudo apt-get update && sudo apt-get ${install.join(' ')}`);
    return;
  }
  console.log(`Installing the Debian packages ${missing.join(' ')}.`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const installed = runVisibly('apt-get', ['update'], env) && runVisibly('apt-get', install, env);
  if (!installed) console.log('apt-get failed: the tests that need these programs cannot run.');
}
