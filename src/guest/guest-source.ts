import { z } from 'zod';
import { fileIdentity } from '../system/file-identity.ts';
import type { Machine } from '../system/machine.ts';
import type { Consistency } from './consistency.ts';
import type { GuestDefinition } from './definition.ts';

/** Where a guest's data comes from. It distinguishes two guests of the same name (doc/store.md, Source). */
export interface GuestSource {
  host: string;
  /** `Machine.id`; null when unknown. */
  machine: string | null;
  /** Paths of its images there. Images that it only reads may be shared with other guests: they are listed only if it has no others. */
  images: readonly string[];
}

/** What an archive, or a compressed image, says of the guest in it. */
export interface ArchivedGuest {
  /** With the places that its images had when the archive was made; of other images, their names beside the file. */
  definition: GuestDefinition;
  /** The machine of these places. */
  machine: Machine;
  /** Null where the archive does not say it. */
  state: {
    /** The disks are as they were at this moment. */
    createdAt: Date;
    consistency: Consistency;
  } | null;
}

/** Its form in records and on the wire. */
export const guestSourceSchema = z.strictObject({
  host: z.string().max(255),
  machine: z.string().max(64).nullable(),
  images: z.array(z.string().max(4096)).max(256).readonly(),
});

/** How many earlier places of a guest are remembered. A guest is seldom moved more often. */
export const MOST_SOURCES = 16;

export function sourceOf(
  { disks }: Pick<GuestDefinition, 'disks'>,
  { host, id }: { host: string; id: string | null },
): GuestSource {
  const written = disks.filter(({ readOnly }) => !readOnly);
  const images = (written.length > 0 ? written : disks).map(({ path }) => path);
  return { host, machine: id, images };
}

/** Whether both have the same host name, and the same id where both ids are known. */
export function isSameMachine(one: GuestSource, other: GuestSource): boolean {
  if (one.host !== other.host) return false;
  return one.machine === null || other.machine === null || one.machine === other.machine;
}

/**
 * Whether both are of the same guest: they are of the same machine, and have at least one image in common. So a guest may
 * gain and lose disks. On this machine, two paths of the same file are the same image.
 */
export async function isSameSource(
  recorded: GuestSource,
  wanted: GuestSource,
  machine: Machine,
): Promise<boolean> {
  if (!isSameMachine(recorded, wanted)) return false;
  if (recorded.images.some((image) => wanted.images.includes(image))) return true;
  if (!isSameMachine(recorded, { host: machine.host, machine: machine.id, images: [] })) return false;
  const there = await Promise.all(wanted.images.map(fileIdentity));
  const files = new Set(there.filter((file) => file !== null));
  const before = await Promise.all(recorded.images.map(fileIdentity));
  return before.some((file) => file !== null && files.has(file));
}

/** Appends a source. It is not listed twice, and the oldest is dropped when there are too many. */
export function withSource(sources: readonly GuestSource[], added: GuestSource): GuestSource[] {
  const text = JSON.stringify(added);
  return [...sources.filter((source) => JSON.stringify(source) !== text), added].slice(-MOST_SOURCES);
}
