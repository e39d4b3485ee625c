import { type Extent, mergeTouching, subtract } from '../../extent/extents.ts';
import { Doubt } from '../file-systems/doubt.ts';
import type { ReadAt } from '../source/read-at.ts';
import { parseConfig, type ConfigSection, type ConfigValue } from './config-text.ts';
import { LABEL_SECTORS, readLabel, type PhysicalVolumeLabel } from './label.ts';

/*
 * A physical volume that has a volume group to itself, with nothing but linear volumes. Source: LVM2, lib/format_text/import_vsn1.c,
 * lib/format_text/flags.c.
 */

const SECTOR_BYTES = 512;
/** Flags that say nothing about where data are. All others (PVMOVE, LOCKED, PARTIAL, …) are doubtful. */
const groupFlags = ['RESIZEABLE', 'READ', 'WRITE', 'EXPORTED'];
const physicalFlags = ['ALLOCATABLE', 'EXPORTED'];
const logicalFlags = ['READ', 'WRITE', 'VISIBLE', 'FIXED_MINOR'];

/** A logical volume: its pieces in its own order, as extents of the physical volume. */
export interface LogicalVolume {
  name: string;
  pieces: readonly Extent[];
}

export interface PhysicalVolume {
  group: string;
  uuid: string;
  volumes: readonly LogicalVolume[];
  /** The room that no volume has. */
  unallocated: readonly Extent[];
}

/** Throws Doubt unless it is certain where each volume is, and what belongs to none. */
export function readPhysicalVolume(read: ReadAt, regionBytes: number): PhysicalVolume {
  const label = readLabel(read, regionBytes);
  if (label.text === null) throw new Doubt('it belongs to no volume group');
  const groups = [...parseConfig(label.text)].filter((entry): entry is [string, ConfigSection] =>
    isSection(entry[1]),
  );
  const [named] = groups;
  if (named === undefined || groups.length > 1) throw invalid();
  const [group, section] = named;
  checkGroup(section);
  const room = roomOf(section, label, regionBytes);
  const volumes = volumesOf(section, room);
  const pieces = volumes
    .flatMap((volume) => volume.pieces)
    .toSorted((one, other) => one.offset - other.offset);
  for (const [index, piece] of pieces.entries()) {
    const before = pieces[index - 1];
    if (before !== undefined && before.offset + before.length > piece.offset)
      throw new Doubt('two of its volumes have the same place');
  }
  return {
    group,
    uuid: room.uuid,
    volumes,
    unallocated: [...subtract([room.extent], mergeTouching(pieces))],
  };
}

function checkGroup(group: ConfigSection): void {
  if (group.has('format') && group.get('format') !== 'lvm2') throw invalid();
  checkFlags(group, groupFlags);
  const lockType = group.get('lock_type');
  if (lockType !== undefined && lockType !== 'none')
    throw new Doubt('its volume group is shared by several machines');
  for (const [name, value] of group)
    if (isSection(value) && name !== 'physical_volumes' && name !== 'logical_volumes')
      throw new Doubt('its volume group has something that vmferry does not know');
}

/** The part of the physical volume that consists of extents. */
interface Room {
  /** The name of the physical volume in the metadata. */
  name: string;
  uuid: string;
  extent: Extent;
  extentBytes: number;
  extentCount: number;
}

function roomOf(group: ConfigSection, label: PhysicalVolumeLabel, regionBytes: number): Room {
  const physicals = [...sectionOf(group, 'physical_volumes')];
  const [named] = physicals;
  if (named === undefined || !isSection(named[1])) throw invalid();
  if (physicals.length > 1) throw new Doubt('its volume group has other physical volumes');
  const [name, physical] = named;
  checkFlags(physical, physicalFlags);
  const uuid = textOf(physical, 'id');
  if (uuid.replaceAll('-', '') !== label.uuid) throw new Doubt('its label and its metadata disagree');
  const extentBytes = numberOf(group, 'extent_size') * SECTOR_BYTES;
  const extentCount = numberOf(physical, 'pe_count');
  const offset = numberOf(physical, 'pe_start') * SECTOR_BYTES;
  const length = extentBytes * extentCount;
  const end = offset + length;
  const isInside =
    extentBytes > 0 &&
    offset >= LABEL_SECTORS * SECTOR_BYTES &&
    Number.isSafeInteger(end) &&
    end <= Math.min(regionBytes, label.deviceBytes);
  if (!isInside) throw new Doubt('it is larger than its partition or disk');
  const isApart = label.areas.every((area) => area.offset + area.length <= offset || area.offset >= end);
  if (!isApart || label.dataOffset !== offset) throw new Doubt('its label and its metadata disagree');
  return { name, uuid, extent: { offset, length }, extentBytes, extentCount };
}

function volumesOf(group: ConfigSection, room: Room): LogicalVolume[] {
  if (!group.has('logical_volumes')) return [];
  return [...sectionOf(group, 'logical_volumes')].map(([name, volume]) => {
    if (!isSection(volume)) throw invalid();
    checkFlags(volume, logicalFlags);
    const segments = [...volume.values()].filter(isSection);
    if (segments.length !== numberOf(volume, 'segment_count') || segments.length === 0) throw invalid();
    let next = 0;
    const pieces = segments.map((_, index) => {
      const { first, start, count } = readSegment(sectionOf(volume, `segment${index + 1}`), room);
      if (first !== next) throw invalid();
      next += count;
      return { offset: room.extent.offset + start * room.extentBytes, length: count * room.extentBytes };
    });
    return { name, pieces };
  });
}

/** Numbers of extents: the first one in the volume, the first one on the physical volume. */
function readSegment(segment: ConfigSection, room: Room): { first: number; start: number; count: number } {
  // One stripe is what LVM calls linear.
  if (segment.get('type') !== 'striped' || numberOf(segment, 'stripe_count') !== 1)
    throw new Doubt('its volume group has volumes that are not linear');
  const [name, start, ...more] = listOf(segment, 'stripes');
  const count = numberOf(segment, 'extent_count');
  const isInside = typeof start === 'number' && start >= 0 && count > 0 && start + count <= room.extentCount;
  if (name !== room.name || !isInside || more.length > 0) throw invalid();
  return { first: numberOf(segment, 'start_extent'), start, count };
}

function checkFlags(section: ConfigSection, known: readonly string[]): void {
  const flags = [...listOf(section, 'status'), ...(section.has('flags') ? listOf(section, 'flags') : [])];
  const unknown = flags.find((flag) => typeof flag !== 'string' || !known.includes(flag));
  if (unknown !== undefined)
    throw new Doubt('its metadata have a mark that vmferry does not know, or something is going on');
}

function isSection(value: ConfigValue | ConfigSection | undefined): value is ConfigSection {
  return value instanceof Map;
}

function sectionOf(section: ConfigSection, name: string): ConfigSection {
  const value = section.get(name);
  if (!isSection(value)) throw invalid();
  return value;
}

function listOf(section: ConfigSection, name: string): readonly (string | number)[] {
  const value = section.get(name);
  if (!Array.isArray(value)) throw invalid();
  return value as readonly (string | number)[];
}

function numberOf(section: ConfigSection, name: string): number {
  const value = section.get(name);
  if (typeof value !== 'number' || value < 0) throw invalid();
  return value;
}

function textOf(section: ConfigSection, name: string): string {
  const value = section.get(name);
  if (typeof value !== 'string') throw invalid();
  return value;
}

function invalid(): Doubt {
  return new Doubt("its volume group's metadata are not as LVM writes them");
}
