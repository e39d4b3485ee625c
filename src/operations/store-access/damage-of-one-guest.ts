import { Failure } from '../../failure.ts';

/**
 * For work on all guests of a store: damage in one guest's folder, for example a link in its place, must not stop work on the
 * others. Returns such a failure; throws any other error.
 */
export function damageOfOneGuest(error: unknown, signal: AbortSignal): Failure {
  signal.throwIfAborted();
  if (error instanceof Failure && error.code === 'store-damaged') return error;
  throw error;
}
