import type { Event } from '../../../src/events.ts';
import type { FailureRecord } from '../../../src/failure.ts';

/** The last line of a command that failed with --json. */
export interface ErrorRecord extends FailureRecord {
  type: 'error';
  exitStatus: number;
  problems?: FailureRecord[];
}

/** What a command printed with --json, line by line. */
export function recordsOf({ stdout }: { stdout: string }): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The result, the last line; throws with the error when it is one. */
export function resultOf<Result = Record<string, unknown>>(ended: {
  stdout: string;
  stderr: string;
}): Result {
  const last = recordsOf(ended).at(-1);
  if (last === undefined || last['type'] === 'error')
    throw new Error(`the command failed: ${JSON.stringify(last)}${ended.stderr}`);
  return last as Result;
}

/** The error, the last line; throws when there is none. */
export function errorOf(ended: { stdout: string; stderr: string }): ErrorRecord {
  const last = recordsOf(ended).at(-1);
  if (last?.['type'] !== 'error')
    throw new Error(`the command did not fail: ${JSON.stringify(last)}${ended.stderr}`);
  return last as unknown as ErrorRecord;
}

/** Code and message of every problem that the error reports. */
export function problemsOf(ended: { stdout: string; stderr: string }): FailureRecord[] {
  const error = errorOf(ended);
  return error.problems ?? [error];
}

export function warningsOf(ended: { stdout: string }): Extract<Event, { type: 'warning' }>[] {
  return recordsOf(ended).filter(({ type }) => type === 'warning') as unknown as Extract<
    Event,
    { type: 'warning' }
  >[];
}
