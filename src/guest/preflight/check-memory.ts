import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { command, here, placed } from '../../placed-text.ts';
import type { GuestDefinition } from '../definition.ts';
import { isHugePageDriver, type GuestDriver, type HugePages } from '../guest-driver.ts';

/**
 * Whether this machine has the memory that the guest needs. Xen's guests do not live in the memory of this Linux.
 * @param besidesBytes what other guests take before it comes
 */
export function checkMemory(
  { name, driver, memoryBytes }: GuestDefinition,
  besidesBytes = 0,
  meminfo = readFileSync('/proc/meminfo', 'utf8'),
): Failure[] {
  if (memoryBytes === null || driver === 'xen') return [];
  const bytesOf = (key: string) =>
    1024 * Number(new RegExp(String.raw`^${key}: +(\d+) kB$`, 'm').exec(meminfo)?.[1] ?? Number.NaN);
  // Available: what programs can get without swapping (proc_meminfo(5)).
  const freeBytes = bytesOf('MemAvailable');
  if (!(memoryBytes + besidesBytes > freeBytes)) return [];
  const others = besidesBytes === 0 ? '' : `, the guests that come before it ${formatBytes(besidesBytes)}`;
  return [
    new Failure(
      'resources-short',
      placed`${name} has ${formatBytes(memoryBytes)} of memory${others}, and ${formatBytes(freeBytes)} are free ${here}.`,
      { advice: 'Halt another guest there, or give this one less memory.' },
    ),
  ];
}

/**
 * The same for a guest whose memory is in huge pages. The kernel sets them apart: no other memory can stand in for them, and what programs can get
 * says nothing of them. How many of which size a guest needs that mixes them is not known.
 * @param system where the kernel shows them (sysfs)
 */
export function checkHugePages(
  { name, memoryBytes }: Pick<GuestDefinition, 'name' | 'memoryBytes'>,
  { pageBytes }: HugePages,
  system = '/sys',
  meminfo = readFileSync('/proc/meminfo', 'utf8'),
): Failure[] {
  if (memoryBytes === null || pageBytes === 'mixed') return [];
  const usualKibibytes = Number(/^Hugepagesize: +(\d+) kB$/m.exec(meminfo)?.[1] ?? 0);
  const pageKibibytes = pageBytes === null ? usualKibibytes : pageBytes / 1024;
  const directory = join(system, `kernel/mm/hugepages/hugepages-${pageKibibytes}kB`);
  const size = formatBytes(pageKibibytes * 1024);
  if (!existsSync(directory))
    return [
      new Failure(
        'resources-short',
        placed`The memory of ${name} is in huge pages${pageKibibytes === 0 ? '' : ` of ${size}`}, which the kernel does not have ${here}.`,
        { advice: 'Give the guest ordinary memory, or huge pages of another size.' },
      ),
    ];
  const read = (file: string) => Number(readFileSync(join(directory, file), 'latin1'));
  const needed = Math.ceil(memoryBytes / (pageKibibytes * 1024));
  const surplus = read('surplus_hugepages');
  // The kernel makes these from ordinary memory when they are asked for. `nr_hugepages` has those that it has made.
  const toCome = Math.max(0, read('nr_overcommit_hugepages') - surplus);
  // Pages that are promised to somebody still count as free.
  const free = read('free_hugepages') - read('resv_hugepages') + toCome;
  if (free >= needed) return [];
  const more = read('nr_hugepages') - surplus + needed - free;
  const bootArguments = `${pageKibibytes === usualKibibytes ? '' : `hugepagesz=${bootSize(pageKibibytes)} `}hugepages=${more}`;
  return [
    new Failure(
      'resources-short',
      placed`${name} needs ${needed} huge pages of ${size}, and ${free} are free ${here}.`,
      {
        advice: placed`Set more of them apart: \`${command('sh', '-c', `echo ${more} > ${join(directory, 'nr_hugepages')}`)}\`. For the next boots of that machine, add ${bootArguments} to the command line of its kernel.`,
      },
    ),
  ];
}

/** As the kernel's command line has it. Its sizes are powers of two. */
function bootSize(kibibytes: number): string {
  if (kibibytes >= 2 ** 20) return `${kibibytes / 2 ** 20}G`;
  return kibibytes >= 2 ** 10 ? `${kibibytes / 2 ** 10}M` : `${kibibytes}K`;
}

/** What other guests miss in `checkMemory` once this one has come. */
export async function ordinaryMemoryBytes(
  definition: GuestDefinition,
  drivers: readonly GuestDriver[],
): Promise<number> {
  const driver = drivers.find(({ kind }) => kind === definition.driver);
  const hugePages =
    driver !== undefined && isHugePageDriver(driver) ? await driver.hugePages(definition) : null;
  return hugePages === null ? (definition.memoryBytes ?? 0) : 0;
}
