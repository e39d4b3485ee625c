import { Failure } from '../../failure.ts';

/** Whether the error says that a store or a directory is read-only or full: it can still be read. */
export function isNotWritable(error: unknown): error is Failure {
  return error instanceof Failure && ['target-not-writable', 'target-full'].includes(error.code);
}
