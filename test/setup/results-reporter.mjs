import { writeFileSync } from 'node:fs';
import process from 'node:process';

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
  }
}
