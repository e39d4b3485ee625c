import type { DiskDefinition } from '../../../guest/definition.ts';
import type { CopiedMove } from './copied-move.ts';

/** Why a disk cannot be copied while its guest writes to it, as a sentence; null if it can. */
export function whyNotWarm({ path, format = 'raw' }: DiskDefinition): string | null {
  if (format === 'raw') return null;
  return `${path} cannot be read while its guest runs: its format is ${format}, and its hypervisor changes its tables meanwhile.`;
}

/** Whether a move copies its guest while it runs. */
export function isWarm({
  request,
  guest,
  places,
}: Pick<CopiedMove, 'request' | 'guest' | 'places'>): boolean {
  return !request.cold && guest.running !== null && places.some(({ disk }) => whyNotWarm(disk) === null);
}
