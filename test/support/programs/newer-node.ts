import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/*
 * Other Nodes than the one that runs the tests. They come from the npm registry, as packages with nothing but
 * the program, and are kept between runs beside the installed packages.
 */

const cacheDirectory = fileURLToPath(new URL('../../../node_modules/.cache/vmferry-nodes/', import.meta.url));
const projectDirectory = fileURLToPath(new URL('../../../', import.meta.url));

export type NewerNode = { program: string; missing: null } | { program: null; missing: string };

/** Node of exactly this version, downloaded if it is missing; or why it is not available. */
export function newerNode(version: string): NewerNode {
  const packageName = `node-linux-${process.arch}`;
  const directory = join(cacheDirectory, `${packageName}-${version}`);
  const program = join(directory, 'node_modules', packageName, 'bin', 'node');
  if (existsSync(program)) return { program, missing: null };
  const reason = fetchPackage(`${packageName}@${version}`, directory);
  return reason === null && existsSync(program)
    ? { program, missing: null }
    : { program: null, missing: `Node ${version} cannot be had: ${reason ?? 'its package lacks it'}` };
}

/** Installs into a directory of its own first, so that nobody ever sees half a package. */
function fetchPackage(specifier: string, directory: string): string | null {
  mkdirSync(cacheDirectory, { recursive: true });
  const scratch = mkdtempSync(join(cacheDirectory, 'fetch-'));
  try {
    const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=1'];
    const npm = spawnSync('npm', ['install', ...flags, '--prefix', scratch, specifier], {
      encoding: 'utf8',
      timeout: 180_000,
      cwd: scratch,
    });
    if (npm.status !== 0) return npm.error?.message ?? (npm.stderr.trim().split('\n').at(-1) || 'npm failed');
    if (!existsSync(directory)) renameSync(scratch, directory);
    return null;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

export interface JestResult {
  passed: string[];
  failed: string[];
  output: string;
}

/** Runs a test file of this project under another Node. */
export function runJestUnder(program: string, testFile: string): JestResult {
  const jest = join(projectDirectory, 'node_modules', 'jest', 'bin', 'jest.js');
  const args = [`--roots=${join(projectDirectory, dirname(testFile))}`, '--maxWorkers=1', '--json', testFile];
  const result = spawnSync(program, [jest, ...args], {
    cwd: projectDirectory,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    env: { ...process.env, NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning' },
  });
  const { testResults } = JSON.parse(result.stdout) as {
    testResults: { assertionResults: { fullName: string; status: string }[] }[];
  };
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (status: string) => all.filter((test) => test.status === status).map((test) => test.fullName);
  return { passed: named('passed'), failed: named('failed'), output: result.stderr };
}
