import { stat } from 'node:fs/promises';

/** Identifies the file behind a path, whatever its name; null if there is no file, or no permission to look at it. */
export async function fileIdentity(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  return found === null ? null : `${found.dev}:${found.ino}`;
}
