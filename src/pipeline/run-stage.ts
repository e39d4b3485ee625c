import { performance } from 'node:perf_hooks';
import type { Context, StageName } from '../events.ts';

/** Runs one stage of an operation, and reports its start and its end or failure. `finished` describes the result. */
export async function runStage<Result>(
  context: Context,
  stage: StageName,
  message: string,
  work: () => Promise<Result>,
  finished: (result: Result) => string,
): Promise<Result> {
  context.report({ type: 'stage-started', stage, message });
  const startedMs = performance.now();
  const seconds = () => (performance.now() - startedMs) / 1000;
  let result: Result;
  try {
    result = await work();
  } catch (error) {
    context.report({ type: 'stage-failed', stage, message, seconds: seconds() });
    throw error;
  }
  context.report({ type: 'stage-finished', stage, message: finished(result), seconds: seconds() });
  return result;
}
