import { existsSync } from 'node:fs';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { DiskDefinition, DriverKind, GuestDefinition } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import type { RunningGuest } from '../../guest/guest-driver.ts';
import type { GuestRecord } from '../../guest/guest-record.ts';
import { summarizeContainer } from '../../image/formats/view/container-summary.ts';
import { openImage } from '../../image/open-image.ts';
import { probeImage } from '../../image/probe.ts';

export type { GuestDependencies } from '../../guest/guest-dependencies.ts';

/** One guest as `vmferry guests` shows it. */
export interface GuestSummary {
  name: string;
  driver: DriverKind;
  /** `gone`: it was running when vmferry last saw it, and no longer does. */
  state: 'running' | 'halted' | 'moving' | 'moved' | 'gone';
  memoryBytes: number | null;
  /** Null when it does not run. */
  cpuSeconds: number | null;
  /** Null also where the hypervisor has no process for it. */
  pid: number | null;
  disks: readonly DiskSummary[];
  /** It does not run, and one of its images is missing, so it cannot be started. */
  imageMissing: boolean;
  /** Where it is being moved, or was moved; null for a guest that stays. */
  movedTo: string | null;
  /** Why vmferry cannot move it; null when it can. */
  unsupported: string | null;
}

export interface DiskSummary {
  path: string;
  /** Null when the image is missing or cannot be read. */
  sizeBytes: number | null;
  /** The bytes in use in its file systems, or, if that is unknown for one of them, the bytes allocated to the image. Null if the size is null. */
  usedBytes: number | null;
}

/** The guests that run here, and those that are remembered, by name. */
export async function listGuests(
  { drivers, records }: Pick<GuestDependencies, 'drivers' | 'records'>,
  context: Context,
): Promise<GuestSummary[]> {
  const remembered = new Map((await records.list()).map((record) => [record.definition.name, record]));
  const summaries: GuestSummary[] = [];
  for (const driver of drivers)
    for (const guest of await driver.list(context)) {
      const { name } = guest.definition;
      summaries.push(await summarize(guest.definition, guest, remembered.get(name) ?? null));
      remembered.delete(name);
    }
  for (const record of remembered.values()) summaries.push(await summarize(record.definition, null, record));
  return summaries.toSorted((one, other) => one.name.localeCompare(other.name, 'en'));
}

async function summarize(
  definition: GuestDefinition,
  running: RunningGuest | null,
  record: GuestRecord | null,
): Promise<GuestSummary> {
  const { name, driver, memoryBytes, disks } = definition;
  const leftAs = record === null || record.state === 'running' ? 'gone' : record.state;
  const diskSummaries: DiskSummary[] = [];
  for (const disk of disks) diskSummaries.push(await summarizeDisk(disk));
  return {
    name,
    driver,
    state: running === null ? leftAs : 'running',
    memoryBytes,
    cpuSeconds: running?.cpuSeconds ?? null,
    pid: running?.identity.pid ?? null,
    disks: diskSummaries,
    imageMissing: running === null && disks.some(({ path }) => !existsSync(path)),
    movedTo: record?.move?.destination ?? null,
    unsupported: running?.unsupported?.message ?? null,
  };
}

async function summarizeDisk({ path, format = 'raw' }: DiskDefinition): Promise<DiskSummary> {
  try {
    if (format !== 'raw') {
      const { allocatedBytes: usedBytes, ...image } = summarizeContainer(path, format);
      return { path: image.path, sizeBytes: image.sizeBytes, usedBytes };
    }
    await using image = await openImage(path);
    const used = probeImage(image).regions.map((region) => region.usedBytes);
    const known = used.filter((bytes) => bytes !== null);
    const isKnown = known.length > 0 && known.length === used.length;
    const usedBytes = isKnown ? known.reduce((sum, bytes) => sum + bytes, 0) : image.allocatedBytes;
    return { path: image.path, sizeBytes: image.sizeBytes, usedBytes };
  } catch (error) {
    // The image is missing, another user's, or damaged. The guest is still shown.
    if (error instanceof Failure) return { path, sizeBytes: null, usedBytes: null };
    throw error;
  }
}
