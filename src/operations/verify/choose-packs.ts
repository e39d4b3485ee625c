import type { StoredObject, StoredObjects } from '../../repository/guest-reader.ts';

/**
 * Chooses packs to read: first those never read, then those read longest ago, until they add up to `percent` of all bytes. At
 * least one pack is chosen if there is any.
 * @param percent 1 to 100
 * @param checked when each pack was last read, in ms since 1970; a time in the future counts as never
 */
export function choosePacks(
  packs: StoredObjects,
  percent: number,
  checked: ReadonlyMap<string, number>,
  nowMs: number,
): StoredObject[] {
  const lastRead = ({ id }: StoredObject) => {
    const ms = checked.get(id) ?? -1;
    return ms > nowMs ? -1 : ms;
  };
  const oldestFirst = [...packs.values()].sort(
    (one, other) => lastRead(one) - lastRead(other) || (one.id < other.id ? -1 : 1),
  );
  const totalBytes = oldestFirst.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const chosen: StoredObject[] = [];
  let chosenBytes = 0;
  for (const pack of oldestFirst) {
    if (chosen.length > 0 && chosenBytes * 100 >= totalBytes * percent) break;
    chosen.push(pack);
    chosenBytes += pack.sizeBytes;
  }
  return chosen;
}
