import type { GuestFolder } from '../../repository/guest-folder.ts';

/** The folders of a guest that files are uploaded to. Files get into the trash by renames only. */
const FOLDERS = ['snapshots', 'announced', 'maps', 'packs', 'index', 'checked', 'damaged', 'protected'];
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Removes what broken uploads have left under temporary names. Files younger than a day stay, whatever the grace period: an
 * upload fails if its file is removed.
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
