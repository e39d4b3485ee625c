import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Failure } from '../../../failure.ts';
import { isGuestName, type GuestDefinition } from '../../definition.ts';
import { configFailure } from './config/config-problem.ts';
import { readXenConfig } from './config/read.ts';
import { listText, writeXenConfig } from './config/write.ts';
import { quoteForXl } from './config/scan.ts';
import type { DomainConfig } from './host/domains.ts';

export interface RunningConfig {
  definition: GuestDefinition;
  /** Why the definition is not complete; null if it is. */
  unsupported: Failure | null;
}

/**
 * The definition of a domain by what libxl remembers of it. Null if no guest can have its name. It goes through a text for xl, so
 * that both readers agree.
 */
export function definitionOfDomain(config: DomainConfig): RunningConfig | null {
  const { name, uuid, type } = config.c_info;
  if (!isGuestName(name)) return null;
  const build = config.b_info ?? {};
  const kibibytes = build.target_memkb ?? build.max_memkb;
  const settings: [string, string | undefined][] = [
    ['name', quoteForXl(name)],
    ['uuid', uuid === undefined ? undefined : quoteForXl(uuid)],
    ['type', quoteForXl(type ?? 'pv')],
    // Ballooning leaves odd sizes.
    ['memory', kibibytes === undefined || kibibytes <= 0 ? undefined : String(Math.round(kibibytes / 1024))],
    ['vcpus', String(build.avail_vcpus?.length || build.max_vcpus || 1)],
    ...(['kernel', 'ramdisk', 'cmdline', 'bootloader'] as const).map((key): [string, string | undefined] => {
      const value = build[key];
      return [key, value === undefined || value === '' ? undefined : quoteForXl(value)];
    }),
    ['localtime', build.localtime === 'True' ? '1' : undefined],
    ['bios', build['type.hvm']?.bios === 'ovmf' ? quoteForXl('ovmf') : undefined],
    ['disk', listText((config.disks ?? []).map(diskSpecOf))],
    ['vif', (config.nics ?? []).length === 0 ? undefined : listText((config.nics ?? []).map(cardSpecOf))],
  ];
  const text = settings
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${value}\n`]))
    .join('');
  const { definition, problems } = readXenConfig(text);
  const real = problems.filter(({ kind }) => kind !== 'no-kernel');
  if (definition === null) return null;
  return {
    definition,
    unsupported: real.length === 0 ? null : configFailure(`that ${name} runs with`, real),
  };
}

function diskSpecOf(disk: NonNullable<DomainConfig['disks']>[number]): string {
  const format = disk.format === undefined || disk.format === 'unknown' ? 'raw' : disk.format;
  const type = disk.is_cdrom ? ['devtype=cdrom'] : [`access=${disk.readwrite ? 'rw' : 'ro'}`];
  const backend = disk.backend === undefined ? [] : [`backendtype=${disk.backend}`];
  const target = disk.pdev_path ? [`target=${absolutePath(disk.pdev_path)}`] : [];
  return [`format=${format}`, `vdev=${disk.vdev}`, ...type, ...backend, ...target].join(',');
}

/** Xen's block script looks for a path that does not begin with a slash in /dev. */
function absolutePath(path: string): string {
  return !path.startsWith('/') && existsSync(`/dev/${path}`) ? `/dev/${path}` : path;
}

function cardSpecOf(card: NonNullable<DomainConfig['nics']>[number]): string {
  const { mac, bridge, script, model, nictype } = card;
  const type = nictype === 'vif' ? 'vif' : nictype === 'vif_ioemu' ? 'ioemu' : undefined;
  return Object.entries({ mac, bridge, script, model, type })
    .flatMap(([key, value]) => (value === undefined || value === '' ? [] : [`${key}=${value}`]))
    .join(',');
}

/** What is compared of a running domain and its file: what the guest was started with. */
function essence(definition: GuestDefinition): unknown {
  const disks = definition.disks.map(({ device, path, readOnly, format }) => [
    device,
    path,
    readOnly,
    format,
  ]);
  const { memoryBytes, cpuCount, boot } = definition;
  const isDirect = boot === undefined;
  const start = isDirect ? [definition.kernel, definition.initrd, definition.commandLine] : [];
  return [memoryBytes, cpuCount ?? 1, boot, definition.virtualization, disks, start];
}

/**
 * The definition of a guest that runs. If its file says what it runs with, the file counts, with all that it says besides.
 * Otherwise what it runs with counts, and what may be missing is told.
 * @param file the definition in the file that has the guest's name; null if there is none
 */
export function runningDefinition(
  running: GuestDefinition,
  file: { path: string; definition: GuestDefinition } | null,
): GuestDefinition {
  if (file !== null && isDeepStrictEqual(essence(file.definition), essence(running))) return file.definition;
  const doubt =
    file === null
      ? 'no file for xl was found for the running guest: what it has besides is unknown'
      : `the running guest differs from ${file.path}: what it has besides is unknown`;
  const text = writeXenConfig(running);
  return { ...running, native: { text, beyond: [...(running.native?.beyond ?? []), doubt] } };
}
