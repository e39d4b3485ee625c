import { z } from 'zod';
import { chunkGridFor, MOST_CHUNKS } from '../chunk/chunk-grid.ts';
import { asFailure, Failure } from '../failure.ts';
import type { Consistency } from '../guest/consistency.ts';
import { isGuestName, parseGuestDefinition, type GuestDefinition } from '../guest/definition.ts';
import { issuesText, shortArray } from '../guest/short-array.ts';
import { pageCount, POSITIONS_PER_PAGE } from './chunk-index/chunk-map-page.ts';
import { digestedText, isDigestedText } from './files/digested-json.ts';
import { isSnapshotId } from './files/snapshot-id.ts';

/** Limit for a manifest. 256 disks of 256 pages each need 4.5 MiB. */
export const MANIFEST_LIMIT_BYTES = 16 * 2 ** 20;

const FORMAT = 'vmferry-snapshot';
const VERSION = 1;

export interface SnapshotDisk {
  /** The image's file name. */
  name: string;
  sizeBytes: number;
  chunkBytes: number;
  /** Bytes that are neither in a hole of the image nor free in its file systems; old snapshots lack it. */
  usedBytes?: number;
  /** `sha256:…`, of the chunk map. */
  fingerprint: string;
  /** Permission bits, owner and time of last change of the image file. */
  mode: number;
  uid: number;
  gid: number;
  modifiedMs: number;
  /** The ids of the pages of its chunk map; null for a page without lines. */
  pages: readonly (string | null)[];
}

export interface Snapshot {
  id: string;
  guest: string;
  /** ISO 8601, UTC. */
  createdAt: string;
  consistency: Consistency;
  definition: GuestDefinition;
  host: string;
  /** `Machine.id` of that host; old snapshots, and those of hosts without an id, lack it. */
  machine?: string;
  vmferryVersion: string;
  disks: readonly SnapshotDisk[];
  /** Bytes that it added to the store. */
  newBytes: number;
}

const MOST_DISKS = 256;
const MOST_PAGES = MOST_CHUNKS / POSITIONS_PER_PAGE;
const bytes = z.int().nonnegative();
const hexId = z.string().regex(/^[0-9a-f]{64}$/);
const disk = z.strictObject({
  name: z
    .string()
    .max(255)
    .regex(/^[^./\p{Cc}][^/\p{Cc}]*$/u),
  sizeBytes: z.int().min(512),
  chunkBytes: bytes,
  usedBytes: bytes.exactOptional(),
  fingerprint: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  mode: z.int().min(0).max(0o777),
  uid: bytes,
  gid: bytes,
  modifiedMs: z.number(),
  pages: shortArray(hexId.nullable(), MOST_PAGES),
});
const manifest = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  id: z.string().refine(isSnapshotId),
  guest: z.string().refine(isGuestName),
  createdAt: z.iso.datetime(),
  consistency: z.enum(['halted', 'frozen', 'after-a-crash']),
  definition: z.unknown(),
  host: z.string().max(255),
  machine: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .exactOptional(),
  vmferryVersion: z.string().max(64),
  disks: shortArray(disk, MOST_DISKS).refine((disks) => disks.length > 0, 'is empty'),
  newBytes: bytes,
  digest: z.string(),
});
const anyVersion = z.object({ format: z.literal(FORMAT), version: z.number() });

export function snapshotText(snapshot: Snapshot): string {
  return digestedText({ format: FORMAT, version: VERSION, ...snapshot });
}

/**
 * The snapshot that a manifest's text describes. Throws Failure `store-damaged` if the text is no manifest, or that of another
 * guest or id; `store-unsupported` for an unknown version.
 */
export function parseSnapshot(text: string, guest: string, id: string): Snapshot {
  const json = parseJson(text, id);
  const known = anyVersion.safeParse(json);
  if (known.success && known.data.version !== VERSION) {
    throw new Failure(
      'store-unsupported',
      `The snapshot ${id} is of version ${known.data.version}, which this vmferry does not know.`,
      { advice: 'Use the version of vmferry that made it, or a later one.' },
    );
  }
  const { success, data, error } = manifest.safeParse(json);
  if (!success) throw damaged(id, issuesText(error));
  if (!isDigestedText(text)) throw damaged(id, 'its digest is wrong');
  if (data.id !== id || data.guest !== guest) throw damaged(id, `it is ${data.id} of ${data.guest}`);
  const names = new Set(data.disks.map(({ name }) => name));
  if (names.size < data.disks.length) throw damaged(id, 'two of its disks have the same name');
  for (const { name, sizeBytes, chunkBytes, pages } of data.disks) {
    const grid = chunkGridFor(sizeBytes);
    if (grid.chunkBytes !== chunkBytes || pages.length !== pageCount(grid))
      throw damaged(id, `the pages of ${name} do not fit its size`);
  }
  const { format: _format, version: _version, digest: _digest, ...snapshot } = data;
  return { ...snapshot, definition: parseDefinition(data.definition, id) };
}

/** A definition that cannot be parsed counts as unsupported, not damaged: a later vmferry may have written it. */
function parseDefinition(json: unknown, id: string): GuestDefinition {
  try {
    return parseGuestDefinition(json);
  } catch (cause) {
    const { message } = asFailure(cause);
    throw new Failure('store-unsupported', `The snapshot ${id} cannot be used: ${message}`, {
      advice: 'Use the version of vmferry that made it, or a later one.',
      cause,
    });
  }
}

function parseJson(text: string, id: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw damaged(id, 'it is not JSON', cause);
  }
}

function damaged(id: string, how: string, cause?: unknown): Failure {
  return new Failure('store-damaged', `The manifest of the snapshot ${id} is damaged: ${how}.`, { cause });
}
