import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HugePages } from '../../../guest-driver.ts';
import { readOptions, type QemuOption } from '../arguments/option-list.ts';
import { isOn, parseSettings, parseSize, type Settings } from '../arguments/settings.ts';

/** statfs(2) */
const HUGETLBFS_MAGIC = 0x958458f6;

/** Of the guest's main memory, by the arguments of its QEMU, and by the file systems here that they name. Null if it is ordinary memory. */
export function hugePagesOfArguments(args: readonly string[]): HugePages | null {
  const { options } = readOptions(args);
  const path = options.findLast(({ name }) => name === 'mem-path')?.value;
  if (path !== undefined) return hugePagesOfPath(path);
  const used = new Set(options.flatMap(memoryIds));
  for (const option of options) {
    const settings = option.name === 'object' ? settingsOf(option, 'qom-type') : new Map<string, string>();
    if (!used.has(settings.get('id') ?? '')) continue;
    const found = hugePagesOfBackend(settings);
    if (found !== null) return found;
  }
  return null;
}

/** The memory backends that are the guest's main memory. */
function memoryIds(option: QemuOption): string[] {
  if (option.name === 'numa') return [settingsOf(option, 'type').get('memdev') ?? []].flat();
  if (option.name !== 'machine' && option.name !== 'M') return [];
  return [settingsOf(option, 'type').get('memory-backend') ?? []].flat();
}

function hugePagesOfBackend(settings: Settings): HugePages | null {
  const path = settings.get('mem-path');
  if (path !== undefined) return hugePagesOfPath(path);
  if (!isOn(settings.get('hugetlb'))) return null;
  return { pageBytes: parseSize(settings.get('hugetlbsize') ?? '', 'b') };
}

/** A directory, or a file that QEMU makes. */
function hugePagesOfPath(path: string): HugePages | null {
  for (const place of [path, dirname(path)])
    try {
      const { type, bsize } = statfsSync(place);
      return type === HUGETLBFS_MAGIC ? { pageBytes: bsize } : null;
    } catch {
      // It is not there: QEMU makes the file, or ends, which the search for named files tells of.
    }
  return null;
}

function settingsOf({ value }: QemuOption, impliedKey: string): Settings {
  try {
    return parseSettings(value, impliedKey);
  } catch (error) {
    // JSON that QEMU refuses, too, and says so better.
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}
