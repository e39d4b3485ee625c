import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { partialPath } from './partial-image.ts';

/** What a restore was making in `PATH.partial`: by it the next one knows that it may go on there. */
export interface PartialClaim {
  /** The store's id. */
  store: string;
  guest: string;
  snapshot: string;
  disk: string;
}

/** More than any claim has. */
const LIMIT_BYTES = 4096;

const claimFile = z.strictObject({
  format: z.literal('vmferry-partial'),
  version: z.literal(1),
  store: z.string(),
  guest: z.string(),
  snapshot: z.string(),
  disk: z.string(),
});

/** The file beside `PATH.partial` that says whose it is. */
export function claimPath(finalPath: string): string {
  return `${partialPath(finalPath)}.vmferry`;
}

/** To be written before the partial image is made, so that none is ever without. */
export async function writeClaim(finalPath: string, claim: PartialClaim): Promise<void> {
  const text = `${JSON.stringify({ format: 'vmferry-partial', version: 1, ...claim })}\n`;
  await rm(claimPath(finalPath), { force: true });
  const file = await open(claimPath(finalPath), 'wx', 0o600);
  try {
    await writeFile(file, text);
  } finally {
    await file.close();
  }
}

/** Null where there is none, or none that can be read: the partial image is then somebody else's. */
export async function readClaim(finalPath: string): Promise<PartialClaim | null> {
  try {
    const text = await readFile(claimPath(finalPath), 'utf8');
    if (text.length > LIMIT_BYTES) return null;
    const { format: _format, version: _version, ...claim } = claimFile.parse(JSON.parse(text));
    return claim;
  } catch {
    return null;
  }
}

export async function removeClaim(finalPath: string): Promise<void> {
  await rm(claimPath(finalPath), { force: true });
}

export function isSameClaim(one: PartialClaim | null, other: PartialClaim): boolean {
  return (
    one !== null &&
    one.store === other.store &&
    one.guest === other.guest &&
    one.snapshot === other.snapshot &&
    one.disk === other.disk
  );
}
