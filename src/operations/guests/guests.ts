import { existsSync } from 'node:fs';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { DiskDefinition, DriverKind, GuestDefinition } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import type { GuestRecord } from '../../guest/guest-record.ts';
import { surveyGuests } from '../../guest/survey-guests.ts';
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
  /** Whether its hypervisor or a unit of `vmferry autostart` starts it with the machine; null where that is not known. */
  autostart: boolean | null;
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

/**
 * The guests that run here, that their hypervisors keep, and that are remembered, by name. A hypervisor that fails is told of.
 * @param startedByUnit whether a unit starts the guest; null without a unit
 */
export async function listGuests(
  { drivers, records }: Pick<GuestDependencies, 'drivers' | 'records'>,
  context: Context,
  startedByUnit: (definition: GuestDefinition) => boolean | null = () => null,
): Promise<GuestSummary[]> {
  const survey = await surveyGuests(drivers, context);
  for (const { driver, failure } of survey.failures) {
    const advice = failure.advice === undefined ? '' : ` ${failure.advice}`;
    const message = `The guests of ${driver} cannot be listed: ${failure.message}${advice}`;
    context.report({ type: 'warning', code: 'hypervisor-silent', message });
  }
  const remembered = new Map((await records.list()).map((record) => [keyOf(record.definition), record]));
  const summaries: GuestSummary[] = [];
  const add = async (
    definition: GuestDefinition,
    live: Live,
    record: GuestRecord | null,
    unsupported?: Failure,
  ) => {
    const autostart = definition.autostart ?? startedByUnit(definition);
    summaries.push({ ...(await summarize(definition, live, record, unsupported)), autostart });
  };
  const take = (definition: GuestDefinition) => {
    const record = remembered.get(keyOf(definition)) ?? null;
    remembered.delete(keyOf(definition));
    return record;
  };
  for (const guest of survey.running) {
    const { definition, cpuSeconds, identity, unsupported } = guest;
    const live = { state: 'running' as const, cpuSeconds, pid: identity.pid ?? null };
    await add(definition, live, take(definition), unsupported);
  }
  for (const { definition, unsupported } of survey.kept) {
    const record = take(definition);
    const state = record === null || record.state === 'running' ? 'halted' : record.state;
    await add(definition, { ...down, state }, record, unsupported);
  }
  for (const record of remembered.values()) {
    const state = record.state === 'running' ? 'gone' : record.state;
    await add(record.definition, { ...down, state }, record);
  }
  return summaries.toSorted(
    (one, other) => one.name.localeCompare(other.name, 'en') || one.driver.localeCompare(other.driver, 'en'),
  );
}

function keyOf({ name, driver }: GuestDefinition): string {
  return `${driver}:${name}`;
}

type Live = Pick<GuestSummary, 'state' | 'cpuSeconds' | 'pid'>;
const down = { cpuSeconds: null, pid: null };

async function summarize(
  { name, driver, memoryBytes, disks }: GuestDefinition,
  live: Live,
  record: GuestRecord | null,
  unsupported?: Failure,
): Promise<Omit<GuestSummary, 'autostart'>> {
  const diskSummaries: DiskSummary[] = [];
  for (const disk of disks) diskSummaries.push(await summarizeDisk(disk));
  return {
    name,
    driver,
    ...live,
    memoryBytes,
    disks: diskSummaries,
    imageMissing: live.state !== 'running' && disks.some(isMissing),
    movedTo: record?.move?.destination ?? null,
    unsupported: unsupported?.message ?? null,
  };
}

function isMissing({ path, backing = path }: DiskDefinition): boolean {
  return !existsSync(path) || !existsSync(backing);
}

async function summarizeDisk({ path, format = 'raw', backing }: DiskDefinition): Promise<DiskSummary> {
  try {
    if (format !== 'raw') {
      const image = summarizeContainer(path, format, backing);
      return { path: image.path, sizeBytes: image.sizeBytes, usedBytes: image.allocatedBytes };
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
