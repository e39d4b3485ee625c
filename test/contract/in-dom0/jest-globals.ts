/*
 * Stands in for @jest/globals in dom0, which is emulated: all of jest would take minutes to start there. Runs the tests one after
 * the other, and prints the result of each as a line of JSON.
 */
export { expect } from 'expect';

type Work = () => unknown;

interface Suite {
  beforeAll: Work[];
  beforeEach: Work[];
  afterEach: Work[];
  afterAll: Work[];
  tests: { title: string; work: Work }[];
}

const suites: Suite[] = [];

function current(): Suite {
  const suite = suites.at(-1);
  if (suite === undefined) throw new Error('outside of describe()');
  return suite;
}

export function describe(_: string, define: () => void): void {
  suites.push({ beforeAll: [], beforeEach: [], afterEach: [], afterAll: [], tests: [] });
  define();
}

export const test = (title: string, work: Work): void => void current().tests.push({ title, work });
export const beforeAll = (work: Work): void => void current().beforeAll.push(work);
export const beforeEach = (work: Work): void => void current().beforeEach.push(work);
export const afterEach = (work: Work): void => void current().afterEach.push(work);
export const afterAll = (work: Work): void => void current().afterAll.push(work);

/** A test's result, as it is printed. */
export interface Result {
  title: string;
  /** Null when it passed. */
  error: string | null;
  seconds: number;
}

/** Runs what was described. A hook that fails fails the test that it belongs to. */
export async function runAll(): Promise<void> {
  for (const suite of suites) {
    await report('before all tests', () => inOrder(suite.beforeAll));
    for (const { title, work } of suite.tests)
      await report(title, async () => {
        await inOrder(suite.beforeEach);
        try {
          await work();
        } finally {
          await inOrder(suite.afterEach);
        }
      });
    await report('after all tests', () => inOrder(suite.afterAll));
  }
}

async function inOrder(works: readonly Work[]): Promise<void> {
  for (const work of works) await work();
}

async function report(title: string, work: () => Promise<void>): Promise<void> {
  const startedMs = performance.now();
  let error: string | null = null;
  try {
    await work();
  } catch (thrown) {
    const advice = thrown instanceof Error && 'advice' in thrown ? `\n${String(thrown.advice)}` : '';
    error = thrown instanceof Error ? `${thrown.stack}${advice}` : String(thrown);
  }
  const result: Result = { title, error, seconds: Math.round((performance.now() - startedMs) / 100) / 10 };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
