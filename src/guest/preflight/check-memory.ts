import { readFileSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { here, placed } from '../../placed-text.ts';
import type { GuestDefinition } from '../definition.ts';

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
