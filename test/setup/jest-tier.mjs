import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { projectDirectory } from './prepare.mjs';

/**
 * Runs one tier with jest: the test files whose path matches one of the patterns, or all without patterns. Resolves to
 * the numbers of tests that `passed` and `failed`, and the names of the `skipped` ones.
 */
export async function runTier(tier, patterns) {
  const scratch = mkdtempSync(join(tmpdir(), 'vmferry-tests-'));
  const outputFile = join(scratch, 'results.json');
  try {
    const ended = await runJest(tier, patterns, outputFile);
    return addUp(tier, ended, readResults(outputFile));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function runJest(tier, patterns, outputFile) {
  const args = [
    join(projectDirectory, 'node_modules', 'jest', 'bin', 'jest.js'),
    `--roots=${join(projectDirectory, 'test', tier.name)}`,
    `--maxWorkers=${tier.workers}`,
    `--testTimeout=${tier.testTimeoutMs}`,
    '--passWithNoTests',
    '--json',
    `--outputFile=${outputFile}`,
    ...patterns,
  ];
  const options = [
    process.env.NODE_OPTIONS ?? '',
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
  ];
  const jest = spawn(process.execPath, args, {
    cwd: projectDirectory,
    stdio: ['ignore', 1, 1],
    env: { ...process.env, NODE_OPTIONS: options.join(' ').trim() },
    timeout: tier.tierTimeoutMs,
  });
  return new Promise((resolve) => {
    jest.on('error', (error) => resolve(`could not be run: ${error.message}`));
    jest.on('close', (status, signal) => {
      if (jest.killed) resolve(`took longer than ${tier.tierTimeoutMs / 60_000} minutes`);
      else resolve(signal === null ? status : `was ended by ${signal}`);
    });
  });
}

function readResults(outputFile) {
  try {
    return JSON.parse(readFileSync(outputFile, 'utf8'));
  } catch {
    return null;
  }
}

/** `ended`: jest's exit status, or why it has none. */
function addUp(tier, ended, results) {
  if (results === null || typeof ended !== 'number') {
    console.log(`jest ${typeof ended === 'number' ? `ended with status ${ended}` : ended}`);
    return { passed: 0, failed: 1, skipped: [] };
  }
  const skipped = results.testResults.flatMap((file) =>
    file.assertionResults
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ fullName }) => `${tier.name}: ${fullName}`),
  );
  // A file that could not be loaded, or a failure after the last test, has no tests to count.
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  return { passed: results.numPassedTests, failed: failed === 0 && ended !== 0 ? 1 : failed, skipped };
}
