import { continueCrc32 } from '../../codec/crc.ts';
import { boundedRead, viewOf } from '../file-systems/bounded-read.ts';
import { Doubt } from '../file-systems/doubt.ts';
import type { ReadAt } from '../source/read-at.ts';

/*
 * Where a physical volume of LVM has the metadata of its volume group. Sources: LVM2, lib/label/label.h, lib/format_text/layout.h,
 * lib/format_text/format-text.c. All numbers are little-endian.
 */

const SECTOR_BYTES = 512;
/** The label is in one of the first four sectors. */
export const LABEL_SECTORS = 4;
const LABEL = 'LABELONE';
const LABEL_TYPE = 'LVM2 001';
const AREA_MAGIC = ' LVM2 x[5A%r0N*>';
const AREA_HEADER_BYTES = 512;
const MOST_AREAS = 2;
/** LVM writes no more than what fits an area, which is 1 MiB unless somebody asked for more. */
const MOST_TEXT_BYTES = 2 ** 20;

export interface PhysicalVolumeLabel {
  /** 32 characters, without dashes. */
  uuid: string;
  /** The size of the device, as LVM has noted it. */
  deviceBytes: number;
  dataOffset: number;
  /** The places of the metadata. */
  areas: readonly { offset: number; length: number }[];
  /** The metadata of the volume group; null if it is in none. */
  text: string | null;
}

/** Throws Doubt. */
export function readLabel(readAt: ReadAt, regionBytes: number): PhysicalVolumeLabel {
  const read = boundedRead(readAt, regionBytes);
  const { sector, at } = findLabel(read);
  const fields = viewOf(sector);
  const places = readPlaces(fields, at);
  const [data] = places.data;
  if (
    data === undefined ||
    places.data.length !== 1 ||
    places.areas.length === 0 ||
    places.areas.length > MOST_AREAS
  )
    throw new Doubt('the places in its label are not those of one physical volume');
  const [text = null, ...others] = places.areas.map((area) => readArea(read, area));
  if (others.some((other) => other !== text)) throw new Doubt('its two copies of the metadata differ');
  return {
    uuid: latin1(sector.subarray(at, at + 32)),
    deviceBytes: safeNumber(fields.getBigUint64(at + 32, true)),
    dataOffset: data.offset,
    areas: places.areas,
    text,
  };
}

/** The sector with the label, and where the header of the volume is in it. */
function findLabel(read: ReadAt): { sector: Uint8Array; at: number } {
  const labels = Array.from({ length: LABEL_SECTORS }, (_, number) => ({
    number,
    sector: read(number * SECTOR_BYTES, SECTOR_BYTES),
  })).filter(({ sector }) => latin1(sector.subarray(0, 8)) === LABEL);
  const [label] = labels;
  if (label === undefined || labels.length > 1) throw new Doubt('it has not exactly one label');
  const { number, sector } = label;
  const fields = viewOf(sector);
  const at = fields.getUint32(20, true);
  const isValid =
    fields.getBigUint64(8, true) === BigInt(number) &&
    fields.getUint32(16, true) === checksum(sector.subarray(20)) &&
    latin1(sector.subarray(24, 32)) === LABEL_TYPE &&
    at >= 32 &&
    at <= 128;
  if (!isValid) throw new Doubt('its label is not valid');
  return { sector, at };
}

interface Place {
  offset: number;
  length: number;
}

/** Two lists of places, each ended by one without offset: data, then metadata. */
function readPlaces(fields: DataView, at: number): { data: Place[]; areas: Place[] } {
  let next = at + 40;
  const list = (): Place[] => {
    const places: Place[] = [];
    for (; next + 16 <= SECTOR_BYTES; next += 16) {
      const offset = safeNumber(fields.getBigUint64(next, true));
      if (offset === 0) {
        next += 16;
        return places;
      }
      places.push({ offset, length: safeNumber(fields.getBigUint64(next + 8, true)) });
    }
    throw new Doubt('its label is not valid');
  };
  return { data: list(), areas: list() };
}

/** The text in an area of metadata, which is a ring behind the area's header; null if it has none. */
function readArea(read: ReadAt, { offset, length }: Place): string | null {
  const bytes = read(offset, AREA_HEADER_BYTES);
  const fields = viewOf(bytes);
  const isValid =
    fields.getUint32(0, true) === checksum(bytes.subarray(4)) &&
    latin1(bytes.subarray(4, 20)) === AREA_MAGIC &&
    fields.getUint32(20, true) === 1 &&
    fields.getBigUint64(24, true) === BigInt(offset) &&
    fields.getBigUint64(32, true) === BigInt(length);
  if (!isValid) throw new Doubt('the header of its metadata is not valid');
  if (fields.getBigUint64(64, true) !== 0n) throw new Doubt('a change of its metadata has not been finished');
  const start = safeNumber(fields.getBigUint64(40, true));
  const size = safeNumber(fields.getBigUint64(48, true));
  if (start === 0) return null;
  if (fields.getUint32(60, true) !== 0) throw new Doubt('its metadata are marked as not in use');
  const isInside = start >= AREA_HEADER_BYTES && start < length && size <= length - AREA_HEADER_BYTES;
  if (!isInside || size === 0 || size > MOST_TEXT_BYTES)
    throw new Doubt('the header of its metadata is not valid');
  const first = Math.min(size, length - start);
  const pieces = [read(offset + start, first), read(offset + AREA_HEADER_BYTES, size - first)];
  const text = Buffer.concat(pieces);
  if (checksum(text) !== fields.getUint32(56, true)) throw new Doubt('the checksum of its metadata is wrong');
  return latin1(text);
}

/** LVM's: a CRC-32 with a start of its own, not inverted. */
function checksum(bytes: Uint8Array): number {
  return continueCrc32(0xf597a6cf, bytes);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Doubt('one of its sizes is not plausible');
  return Number(value);
}
