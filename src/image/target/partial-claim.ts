import { constants, open, rm, writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { partialPath } from './target-path.ts';
import { requireOwnFile } from './trusted-partial.ts';

/** Says what writes to `PATH.partial`, so that the same restore or move can continue it later. */
export type PartialClaim = RestoreClaim | MoveClaim;

export interface RestoreClaim {
  /** The store's id. */
  store: string;
  guest: string;
  snapshot: string;
  disk: string;
  /** Raw if absent. */
  imageFormat?: 'qcow2';
}

export interface MoveClaim {
  /** The machine that the guest comes from. */
  machine: string;
  guest: string;
  /** Of the disk. */
  sizeBytes: number;
  /** Raw if absent. */
  imageFormat?: 'qcow2';
}

/** No claim is longer. */
const LIMIT_BYTES = 4096;

const header = { format: z.literal('vmferry-partial'), version: z.literal(1) };
const imageFormat = z.literal('qcow2').exactOptional();

const claimFile = z.union([
  z.strictObject({
    ...header,
    store: z.string(),
    guest: z.string(),
    snapshot: z.string(),
    disk: z.string(),
    imageFormat,
  }),
  z.strictObject({ ...header, machine: z.string(), guest: z.string(), sizeBytes: z.int(), imageFormat }),
]);

/** The claim lies beside `PATH.partial`. */
export function claimPath(finalPath: string): string {
  return `${partialPath(finalPath)}.vmferry`;
}

/** The files of an image that is not complete. */
export function incompleteFiles(finalPath: string): string[] {
  return [partialPath(finalPath), claimPath(finalPath)];
}

/** Must be written before the partial image is made, so that no partial image lacks its claim. */
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

/** Null if this account has no valid claim: then the partial image is not ours. */
export async function readClaim(finalPath: string): Promise<PartialClaim | null> {
  try {
    const text = await readOwn(claimPath(finalPath));
    if (text === null) return null;
    const { format: _format, version: _version, ...claim } = claimFile.parse(JSON.parse(text));
    return claim;
  } catch {
    return null;
  }
}

/** Null if the file is too long. Does not follow links or wait for a FIFO. */
async function readOwn(path: string): Promise<string | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    await requireOwnFile(stats, path);
    return stats.size > LIMIT_BYTES ? null : await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

export async function removeClaim(finalPath: string): Promise<void> {
  await rm(claimPath(finalPath), { force: true });
}

export function isSameClaim(one: PartialClaim | null, other: PartialClaim): boolean {
  return one !== null && isDeepStrictEqual(one, other);
}
