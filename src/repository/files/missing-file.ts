import { Failure } from '../../failure.ts';

/** Whether the error says that the store has no file with that name. */
export function isMissingFile(error: unknown): boolean {
  return error instanceof Failure && error.code === 'target-missing';
}
