import { z } from 'zod';
import { fileIdentity } from '../system/file-identity.ts';
import type { Machine } from '../system/machine.ts';
import type { GuestDefinition } from './definition.ts';

/** Where a guest's data is from: by this, two guests of one name are told apart (doc/store.md, Source). */
export interface GuestSource {
  host: string;
  /** `Machine.id`; null where that is not known. */
  machine: string | null;
  /** Paths of its images there. What is only read may be shared with other guests, and counts only where nothing else is. */
  images: readonly string[];
}

/** As a record and the wire hold it. */
export const guestSourceSchema = z.strictObject({
  host: z.string().max(255),
  machine: z.string().max(64).nullable(),
  images: z.array(z.string().max(4096)).max(256).readonly(),
});

/** Earlier places of a guest that are remembered; a guest is seldom moved more often. */
export const MOST_SOURCES = 16;

export function sourceOf(
  { disks }: Pick<GuestDefinition, 'disks'>,
  { host, id }: { host: string; id: string | null },
): GuestSource {
  const written = disks.filter(({ readOnly }) => !readOnly);
  const images = (written.length > 0 ? written : disks).map(({ path }) => path);
  return { host, machine: id, images };
}

/** Of one host name, and of one id where both are known. */
export function isSameMachine(one: GuestSource, other: GuestSource): boolean {
  if (one.host !== other.host) return false;
  return one.machine === null || other.machine === null || one.machine === other.machine;
}

/**
 * Whether both are of one guest: of the same machine, with at least one image in common. So a guest may get another disk, and lose
 * one. On this machine two paths that lead to one file are the same image.
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

/** The sources with one more, the latest last; none is in it twice. */
export function withSource(sources: readonly GuestSource[], added: GuestSource): GuestSource[] {
  const text = JSON.stringify(added);
  return [...sources.filter((source) => JSON.stringify(source) !== text), added].slice(-MOST_SOURCES);
}
