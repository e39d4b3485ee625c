import { Failure } from '../../failure.ts';

/** Whether what was thrown says that a store has no file of that name (any more). */
export function isMissingFile(error: unknown): boolean {
  return error instanceof Failure && error.code === 'target-missing';
}
