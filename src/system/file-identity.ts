import { stat } from 'node:fs/promises';

/** Which file a path leads to, by whatever name; null where it leads to none that can be looked at. */
export async function fileIdentity(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  return found === null ? null : `${found.dev}:${found.ino}`;
}
