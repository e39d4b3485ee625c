import { performance } from 'node:perf_hooks';
import type { Context, StageName } from '../events.ts';

/** Runs one stage of an operation and reports its beginning and its end; `finished` says what became of it. */
export async function runStage<Result>(
  context: Context,
  stage: StageName,
  message: string,
  work: () => Promise<Result>,
  finished: (result: Result) => string,
): Promise<Result> {
  context.report({ type: 'stage-started', stage, message });
  const startedMs = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedMs) / 1000;
  context.report({ type: 'stage-finished', stage, message: finished(result), seconds });
  return result;
}
