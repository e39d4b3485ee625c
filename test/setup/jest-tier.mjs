import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { stripVTControlCharacters } from 'node:util';
import { projectDirectory } from './prepare.mjs';

/**
 * Runs one tier with jest: the test files whose path matches one of the patterns, or all without patterns. Resolves to
 * the number of tests that `passed`, the names of the `skipped` ones, and what the `failed` ones said.
 */
export async function runTier(tier, patterns) {
  const scratch = mkdtempSync(join(tmpdir(), 'vmferry-tests-'));
  const resultsFile = join(scratch, 'results.json');
  try {
    const ended = await runJest(tier, patterns, resultsFile);
    return addUp(tier, ended, readResults(resultsFile));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function runJest(tier, patterns, resultsFile) {
  const args = [
    join(projectDirectory, 'node_modules', 'jest', 'bin', 'jest.js'),
    `--roots=${join(projectDirectory, 'test', tier.name)}`,
    '--reporters=default',
    `--reporters=${join(projectDirectory, 'test', 'setup', 'results-reporter.mjs')}`,
    `--maxWorkers=${tier.workers}`,
    `--testTimeout=${tier.testTimeoutMs}`,
    '--passWithNoTests',
    ...(tier.longest === undefined
      ? []
      : [`--testSequencer=${join(import.meta.dirname, 'longest-first.mjs')}`]),
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
    env: { ...process.env, NODE_OPTIONS: options.join(' ').trim(), VMFERRY_TEST_RESULTS: resultsFile },
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
    const why = `jest ${typeof ended === 'number' ? `ended with status ${ended}` : ended}`;
    return { passed: 0, failed: [`${tier.name}: ${why}`], skipped: [] };
  }
  const { tests, brokenFiles } = results;
  const named = ({ file, name }) => `${relative(projectDirectory, file)}: ${name}`;
  const failed = tests
    .filter(({ status }) => status === 'failed')
    .map((one) => `${named(one)}\n${excerpt(one.failure)}`);
  // A file that could not be loaded, or a failure after the last test, has no tests to count.
  for (const { file, failure } of brokenFiles)
    failed.push(`${relative(projectDirectory, file)}\n${excerpt(failure)}`);
  if (failed.length === 0 && ended !== 0) failed.push(`${tier.name}: jest ended with status ${ended}`);
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed,
    skipped: tests.filter(({ status }) => status !== 'passed' && status !== 'failed').map(named),
  };
}

/** The first lines of what a failed test said, without colours and without the places in other packages. */
function excerpt(failure) {
  return stripVTControlCharacters(failure)
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s+at .*(?:node_modules|node:)/.test(line))
    .slice(0, 12)
    .map((line) => `    ${line}`)
    .join('\n');
}
