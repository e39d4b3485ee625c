import type { GuestFolder } from '../../repository/guest-folder.ts';

/** All of a guest's that files are put into under temporary names; into the trash they are moved. */
const FOLDERS = ['snapshots', 'announced', 'maps', 'packs', 'index', 'checked', 'damaged', 'protected'];
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Removes what uploads that were broken off have left under temporary names. Never what is younger than a day, whatever the grace
 * period: an upload whose file is taken away fails.
 * @param serverNowMs by the server's clock
 */
export async function removeLeftovers(
  folder: GuestFolder,
  serverNowMs: number,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const olderThanMs = serverNowMs - Math.max(graceMs, DAY_MS);
  for (const path of FOLDERS.map((name) => folder.pathOf(name)))
    for (const { name, isFolder, isStrange, modifiedMs } of await folder.store.list(
      path,
      signal,
      'leftovers',
    ))
      if (!isFolder && isStrange !== true && modifiedMs <= olderThanMs)
        await folder.store.remove(`${path}/${name}`, signal);
}
