import type { FoundStorage } from './disks.ts';
import type { QemuOption } from './option-list.ts';
import type { Reading } from './reading.ts';
import { isJson, parseSettings, withSetting } from './settings.ts';

/** Options whose whole value is a path. */
const pathOptions = new Set('kernel initrd pidfile D mem-path dtb option-rom'.split(' '));
/** Settings that are paths, by option, with the key that its first setting may leave out. */
const pathSettings: Readonly<Record<string, { impliedKey?: string; keys: readonly string[] }>> = {
  chardev: { impliedKey: 'backend', keys: ['path', 'logfile'] },
  fsdev: { impliedKey: 'fsdriver', keys: ['path', 'socket'] },
  virtfs: { impliedKey: 'fsdriver', keys: ['path', 'socket'] },
  object: { impliedKey: 'qom-type', keys: ['mem-path', 'file', 'filename', 'dir'] },
  fw_cfg: { impliedKey: 'name', keys: ['file'] },
  smbios: { keys: ['file', 'path'] },
  acpitable: { keys: ['file', 'data'] },
};
const deviceOptions = new Set('qmp qmp-pretty monitor serial parallel debugcon gdb'.split(' '));

/** The arguments with relative paths made absolute: they may be used from another directory. */
export function absoluteArguments(
  args: readonly string[],
  reading: Reading,
  storage: FoundStorage,
): string[] {
  const result = [...args];
  const valueAt = ({ place, width }: QemuOption): number => place + width - 2;
  const absolute = (path: string): string => reading.path(path) ?? path;
  for (const option of reading.options) result[valueAt(option)] = absoluteValue(option, absolute);
  const places = [...storage.disks, ...storage.drives].map(({ definition, pathPlace }) => ({
    path: definition.path,
    place: pathPlace,
  }));
  if (storage.firmwareCode !== null) places.push(storage.firmwareCode);
  for (const { path, place } of places) {
    const option = reading.options.find((one) => one.place === place?.option);
    if (option === undefined || place === null || path === null) continue;
    const at = valueAt(option);
    result[at] = place.key === '' ? path : withSetting(result[at] ?? '', place.key, path, place.impliedKey);
  }
  return result;
}

function absoluteValue(option: QemuOption, absolute: (path: string) => string): string {
  const { name, value, width } = option;
  if (width === 1) return name === 'hda' ? value : `-${name}`;
  if (pathOptions.has(name)) return absolute(value);
  // Firmware without a directory is QEMU's own.
  if (name === 'bios' && value.includes('/')) return absolute(value);
  if (deviceOptions.has(name)) {
    const [, prefix, rest = ''] = /^((?:mon:)?(?:unix|file|pipe):)(.*)$/s.exec(value) ?? [];
    if (prefix === undefined) return value;
    const [path = '', ...others] = rest.split(',');
    return prefix + [absolute(path), ...others].join(',');
  }
  const found = pathSettings[name];
  if (found === undefined || isJson(value)) return value;
  let result = value;
  const settings = parseSettings(value, found.impliedKey);
  for (const key of found.keys) {
    const path = settings.get(key);
    if (path !== undefined && settings.get('abstract') !== 'on')
      result = withSetting(result, key, absolute(path), found.impliedKey);
  }
  return result;
}
