import { Failure } from '../../failure.ts';

/**
 * For work on all guests of a store: what is damaged in one guest's folder (a link in its place, for one) says nothing of the
 * others, and keeps nobody from them. Gives that failure; throws the error when it is anything else.
 */
export function damageOfOneGuest(error: unknown, signal: AbortSignal): Failure {
  signal.throwIfAborted();
  if (error instanceof Failure && error.code === 'store-damaged') return error;
  throw error;
}
