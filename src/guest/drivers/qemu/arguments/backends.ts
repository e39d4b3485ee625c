import type { CacheMode, ImageFormatName } from '../../../definition.ts';
import { qemuFormats } from '../../../definition.ts';
import type { QemuOption } from './option-list.ts';
import { refused } from './option-list.ts';
import type { Reading, ValuePlace } from './reading.ts';
import { isOn, parseSettings, type Settings } from './settings.ts';

/** What a device of the guest reads and writes: a `-drive`, or a `-blockdev` with the nodes below it. */
export interface Backend {
  option: QemuOption;
  /** Null: no medium. */
  path: string | null;
  /** Null: not given; QEMU looks at the first bytes. */
  format: ImageFormatName | null;
  readOnly: boolean;
  cache: CacheMode | null;
  /** Old versions have it here, and not on the device. */
  serial: string | null;
  isCdrom: boolean;
  pathPlace: ValuePlace;
  /** Null: the option has no place for it. */
  formatPlace: ValuePlace | null;
}

const formats: readonly string[] = qemuFormats;
const protocols = ['file', 'host_device', 'host_cdrom'];
/** Nodes that pass everything on to the node below. */
const filters = ['throttle', 'copy-on-read', 'compress', 'preallocate'];

/** Settings that change how QEMU works, and not what the guest sees. */
const plainKeys =
  /^(?:file|filename|file\.(?:driver|filename|node-name|aio|discard|locking|read-only|cache\.\S+|auto-read-only)|driver|format|if|index|bus|unit|media|id|node-name|cache|cache\.\S+|readonly|read-only|auto-read-only|aio|discard|detect-zeroes|werror|rerror|locking|serial|snapshot|addr|backing)$/;

/** Notes a problem, and returns null, for what is no file and no block device of this machine. */
export function readDrive(option: QemuOption, reading: Reading): Backend | null {
  const settings = parseSettings(option.value);
  const problem = refusedSetting(settings);
  if (problem !== null) return refuse(reading, option, problem);
  const hasFile = settings.has('file');
  const file = settings.get('file') ?? settings.get('file.filename') ?? '';
  const driver = settings.get('file.driver');
  if (driver !== undefined && !protocols.includes(driver))
    return refuse(reading, option, `it reads its disk by ${driver}`);
  const formatKey = settings.has('format') || !settings.has('driver') ? 'format' : 'driver';
  const format = settings.get(formatKey) ?? null;
  if (format !== null && !formats.includes(format))
    return refuse(reading, option, `vmferry does not know the format ${format}`);
  noteUnknownKeys(option, settings, plainKeys, reading);
  const path = file === '' ? null : plainPath(file, reading, option);
  if (path === undefined) return null;
  return {
    option,
    path,
    format: format as ImageFormatName | null,
    readOnly: isOn(settings.get('readonly') ?? settings.get('read-only')),
    cache: cacheOf(settings, true),
    serial: settings.get('serial') ?? null,
    isCdrom: settings.get('media') === 'cdrom',
    pathPlace: { option: option.place, key: hasFile || file === '' ? 'file' : 'file.filename' },
    formatPlace: { option: option.place, key: formatKey },
  };
}

/** An option whose whole value is a file: `-hda`, `-cdrom`, `-pflash`. */
export function readPlainFile(option: QemuOption, reading: Reading): Backend | null {
  const path = plainPath(option.value, reading, option);
  if (path === undefined) return null;
  return {
    option,
    path,
    format: null,
    readOnly: false,
    cache: null,
    serial: null,
    isCdrom: option.name === 'cdrom',
    pathPlace: { option: option.place, key: '' },
    formatPlace: null,
  };
}

/** Undefined, with a problem noted, for an address that is no path. */
function plainPath(file: string, reading: Reading, option: QemuOption): string | null | undefined {
  const [, protocol, rest = ''] = /^([A-Za-z][\w+.-]*):(.*)$/s.exec(file) ?? [];
  if (protocol !== undefined && !protocols.includes(protocol)) {
    reading.noteProblem(refused(option, `${protocol}: is not a file or a block device of this machine`));
    return undefined;
  }
  return reading.path(protocol === undefined ? file : rest) ?? undefined;
}

function refuse(reading: Reading, option: QemuOption, reason: string): null {
  reading.noteProblem(refused(option, reason));
  return null;
}

function refusedSetting(settings: Settings): string | null {
  if (isOn(settings.get('snapshot')))
    return 'the guest’s changes are only in a temporary file (snapshot=on), and are lost with it';
  for (const [key, value] of settings) {
    if (/(?:^|\.)(?:key-secret|encrypt\.\S+)$/.test(key)) return 'the image is encrypted';
    if (/^(?:file\.)?backing(?:\.|$)/.test(key) && value !== 'null' && value !== '')
      return 'its backing file is given on the command line';
    if (/^(?:file\.)?(?:offset|size)$/.test(key)) return 'it shows only a part of the file';
  }
  return null;
}

/** @param hasWriteCache whether the settings say it; on a node made by -blockdev, the device does */
function cacheOf(settings: Settings, hasWriteCache: boolean, deviceWriteCache?: string): CacheMode | null {
  const named = settings.get('cache');
  if (named === 'off') return 'none';
  const modes: readonly CacheMode[] = ['none', 'writeback', 'writethrough', 'directsync', 'unsafe'];
  const mode = modes.find((one) => one === named);
  if (mode !== undefined) return mode;
  const isSet = ['cache.direct', 'cache.no-flush', 'cache.writeback'].some((key) => settings.has(key));
  const writeCache = hasWriteCache ? settings.get('cache.writeback') : deviceWriteCache;
  if (!isSet && writeCache === undefined) return null;
  const isDirect = isOn(settings.get('cache.direct') ?? settings.get('file.cache.direct'));
  if (isOn(settings.get('cache.no-flush'))) return 'unsafe';
  if (writeCache === 'off') return isDirect ? 'directsync' : 'writethrough';
  return isDirect ? 'none' : 'writeback';
}

function noteUnknownKeys(option: QemuOption, settings: Settings, known: RegExp, reading: Reading): void {
  const unknown = [...settings.keys()].filter((key) => !known.test(key));
  if (unknown.length > 0) reading.noteBeyond(option, unknown.join(', '));
}

interface Node {
  option: QemuOption;
  settings: Settings;
  /** Of the keys in the option's settings: empty, or `file.` for a node that is given inside another. */
  prefix: string;
}

/** The nodes of all `-blockdev`, by name. */
export function readNodes(reading: Reading): ReadonlyMap<string, Node> {
  const nodes = new Map<string, Node>();
  for (const option of reading.all('blockdev')) {
    const settings = parseSettings(option.value, 'driver');
    const name = settings.get('node-name');
    if (name === undefined) reading.noteProblem(refused(option, 'it has no node-name'));
    else nodes.set(name, { option, settings, prefix: '' });
  }
  return nodes;
}

/** The backend of a device that uses a node; null, with a problem noted, when it is no file and no block device here. */
export function backendOfNode(
  top: Node,
  nodes: ReadonlyMap<string, Node>,
  reading: Reading,
  deviceWriteCache: string | undefined,
): Backend | null {
  const problem = refusedSetting(top.settings);
  if (problem !== null) return refuse(reading, top.option, problem);
  let node = top;
  let format: ImageFormatName = 'raw';
  let formatPlace: ValuePlace | null = null;
  // A chain of nodes cannot be longer than their number, unless it is a circle.
  for (let steps = 0; steps <= 2 * nodes.size + 2; steps++) {
    const driver = node.settings.get(`${node.prefix}driver`) ?? '';
    if (node.prefix === '') noteUnknownKeys(node.option, node.settings, plainKeys, reading);
    if (protocols.includes(driver)) {
      const path = reading.path(node.settings.get(`${node.prefix}filename`) ?? '');
      if (path === null) return null;
      return {
        option: top.option,
        path,
        format,
        readOnly: isOn(top.settings.get('read-only')),
        cache: cacheOf(new Map([...node.settings, ...top.settings]), false, deviceWriteCache),
        serial: null,
        isCdrom: false,
        pathPlace: placeIn(node, 'filename'),
        formatPlace,
      };
    }
    if (formats.includes(driver)) {
      format = driver as ImageFormatName;
      formatPlace = placeIn(node, 'driver');
    } else if (!filters.includes(driver))
      return refuse(reading, node.option, `vmferry does not know the block driver ${driver}`);
    const below = nodeBelow(node, nodes);
    if (below === null) return refuse(reading, node.option, 'the node below it is not on the command line');
    node = below;
  }
  return refuse(reading, top.option, 'its nodes form a circle');
}

function placeIn({ option, prefix }: Node, key: string): ValuePlace {
  return { option: option.place, key: prefix + key, impliedKey: 'driver' };
}

function nodeBelow(node: Node, nodes: ReadonlyMap<string, Node>): Node | null {
  const { settings, prefix } = node;
  if (settings.has(`${prefix}file.driver`)) return { ...node, prefix: `${prefix}file.` };
  return nodes.get(settings.get(`${prefix}file`) ?? '') ?? null;
}
