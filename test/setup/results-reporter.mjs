import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import process from 'node:process';

const SLOW_SECONDS = 10;
const MOST_NAMED = 12;

/**
 * Writes what became of each test to the file that `VMFERRY_TEST_RESULTS` names. What jest itself writes (`--outputFile`)
 * holds the errors as objects; one that refers to itself cannot be written, and the numbers of all tests are lost.
 */
export default class ResultsReporter {
  onRunComplete(_contexts, { testResults }) {
    const tests = testResults.flatMap((file) =>
      file.testResults.map(({ fullName, status, failureMessages }) => ({
        file: file.testFilePath,
        name: fullName,
        status,
        failure: failureMessages.join('\n'),
      })),
    );
    const brokenFiles = testResults
      .filter(({ testExecError }) => testExecError !== undefined && testExecError !== null)
      .map(({ testFilePath, failureMessage }) => ({ file: testFilePath, failure: failureMessage ?? '' }));
    writeFileSync(process.env.VMFERRY_TEST_RESULTS, JSON.stringify({ tests, brokenFiles }));
    tellSlowest(testResults);
  }
}

/** What to look at when the whole takes too long. */
function tellSlowest(testResults) {
  const slowest = testResults
    .map(({ testFilePath, perfStats }) => ({ testFilePath, seconds: Math.round(perfStats.runtime / 1000) }))
    .filter(({ seconds }) => seconds >= SLOW_SECONDS)
    .toSorted((one, other) => other.seconds - one.seconds)
    .slice(0, MOST_NAMED)
    .map(({ testFilePath, seconds }) => `${basename(testFilePath, '.test.ts')} ${seconds} s`);
  if (slowest.length > 0) console.log(`Slowest files: ${slowest.join(', ')}`);
}
