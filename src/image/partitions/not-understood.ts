import type { Extent } from '../../extent/extents.ts';

/** Why a partition table is not understood, as a clause about the disk. */
export class NotUnderstood extends Error {}

/** Throws NotUnderstood if extents overlap, or reach outside of the room. */
export function checkDisjoint(extents: readonly Extent[], room: Extent): void {
  let end = room.offset;
  for (const { offset, length } of extents.toSorted((first, second) => first.offset - second.offset)) {
    if (offset < end) throw new NotUnderstood('its partitions overlap each other or the table');
    end = offset + length;
  }
  if (end > room.offset + room.length)
    throw new NotUnderstood('its partitions reach beyond the allowed range');
}
