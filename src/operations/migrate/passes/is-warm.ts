import type { CopiedMove } from './copied-move.ts';

/** Whether a move copies its guest while it runs. */
export function isWarm({ request, guest }: Pick<CopiedMove, 'request' | 'guest'>): boolean {
  return !request.cold && guest.running !== null;
}
