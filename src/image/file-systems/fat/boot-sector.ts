import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The boot sector of FAT. Sources: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03; Linux, fs/fat/inode.c and
 * include/uapi/linux/msdos_fs.h. All numbers are little-endian.
 */

export const BOOT_SECTOR_BYTES = 512;
const LARGEST_CLUSTER_BYTES = 2 ** 18;
/** Larger tables are not read: their entries are held in memory, 4 bytes each. */
const MOST_CLUSTERS = 2 ** 24;
/** The fields of the boot sector of FAT32 that its backup must repeat, from the size of a sector to the place of the backup. */
const GEOMETRY = { from: 11, to: 52 };
/** FAT32 has it always at this sector. */
const BACKUP_SECTOR = 6;

export type FatWidth = 12 | 16 | 32;

/** The name of the type in the boot sector, and where it stands. */
export const fatTypes: readonly { width: FatWidth; name: string; at: number }[] = [
  { width: 12, name: 'FAT12   ', at: 54 },
  { width: 16, name: 'FAT16   ', at: 54 },
  { width: 32, name: 'FAT32   ', at: 82 },
];

/** Places and lengths in bytes. Clusters are numbered from 2. */
export interface FatLayout {
  width: FatWidth;
  media: number;
  tables: readonly [first: number, second: number];
  tableBytes: number;
  /** The root directory of FAT12 and FAT16. */
  root: { offset: number; length: number };
  /** The first cluster of the root directory of FAT32; 0 for others. */
  rootCluster: number;
  dataOffset: number;
  clusterBytes: number;
  clusterCount: number;
  /** The sector with the number of free clusters (FAT32); null if there is none. */
  infoOffset: number | null;
}

/** The type by the name in the boot sector; null if it has no name of FAT. */
export function fatTypeOf(head: Uint8Array): (typeof fatTypes)[number] | null {
  const isAt = (name: string, at: number): boolean =>
    String.fromCharCode(...head.subarray(at, at + name.length)) === name;
  return fatTypes.find(({ name, at }) => isAt(name, at)) ?? null;
}

/** Throws Doubt. */
export function readLayout(read: ReadAt, regionBytes: number): FatLayout {
  if (regionBytes < BOOT_SECTOR_BYTES) throw new Doubt('it is too small');
  const head = read(0, BOOT_SECTOR_BYTES);
  const type = fatTypeOf(head);
  const fields = viewOf(head);
  if (type === null || fields.getUint16(510, true) !== 0xaa55) throw new Doubt('it has no valid boot sector');
  const sectorBytes = fields.getUint16(11, true);
  const sectorsPerCluster = fields.getUint8(13);
  const clusterBytes = sectorBytes * sectorsPerCluster;
  if (![512, 1024, 2048, 4096].includes(sectorBytes) || !isPowerOfTwo(sectorsPerCluster))
    throw new Doubt('the size of its sectors or clusters is not valid');
  if (clusterBytes > LARGEST_CLUSTER_BYTES) throw new Doubt('its clusters are too large');
  if (fields.getUint8(16) !== 2) throw new Doubt('it has not two copies of its table');

  const places = readPlaces(fields, type.width, sectorBytes, sectorsPerCluster);
  const { sectors, clusterCount } = places;
  if (sectors * sectorBytes > regionBytes) throw new Doubt('it is larger than its partition or disk');
  if (widthOf(clusterCount, places.isFat32) !== type.width)
    throw new Doubt('its type and its number of clusters disagree');
  if (clusterCount > MOST_CLUSTERS) throw new Doubt('it has too many clusters');
  checkTableSize(places, sectorsPerCluster);
  if (type.width === 32) checkFat32(read, fields, sectorBytes);
  const infoSector = type.width === 32 ? fields.getUint16(48, true) : 0;
  return {
    width: type.width,
    media: fields.getUint8(21),
    tables: [places.reserved * sectorBytes, (places.reserved + places.tableSectors) * sectorBytes],
    tableBytes: places.tableSectors * sectorBytes,
    root: { offset: places.rootStart * sectorBytes, length: places.rootSectors * sectorBytes },
    rootCluster: type.width === 32 ? fields.getUint32(44, true) : 0,
    dataOffset: places.dataStart * sectorBytes,
    clusterBytes,
    clusterCount,
    infoOffset: infoSector === 0 || infoSector === 0xffff ? null : infoSector * sectorBytes,
  };
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

interface Places {
  isFat32: boolean;
  sectors: number;
  reserved: number;
  tableSectors: number;
  rootStart: number;
  rootSectors: number;
  dataStart: number;
  clusterCount: number;
  /** What the table needs for its clusters, in sectors. */
  neededSectors: number;
}

function readPlaces(
  fields: DataView,
  width: FatWidth,
  sectorBytes: number,
  sectorsPerCluster: number,
): Places {
  const reserved = fields.getUint16(14, true);
  const rootEntries = fields.getUint16(17, true);
  const [small, large] = [fields.getUint16(19, true), fields.getUint32(32, true)];
  if (small !== 0 && large !== 0 && small !== large)
    throw new Doubt('it states its size twice, and differently');
  const shortTable = fields.getUint16(22, true);
  const isFat32 = shortTable === 0;
  const tableSectors = isFat32 ? fields.getUint32(36, true) : shortTable;
  const rootBytes = rootEntries * 32;
  if (
    reserved === 0 ||
    tableSectors === 0 ||
    isFat32 !== (rootEntries === 0) ||
    rootBytes % sectorBytes !== 0
  )
    throw new Doubt('the places in its boot sector are not valid');
  const sectors = small === 0 ? large : small;
  const rootStart = reserved + 2 * tableSectors;
  const rootSectors = rootBytes / sectorBytes;
  const dataStart = rootStart + rootSectors;
  const clusterCount = Math.floor((sectors - dataStart) / sectorsPerCluster);
  if (clusterCount < 1) throw new Doubt('the places in its boot sector are not valid');
  const neededSectors = Math.ceil(Math.ceil(((clusterCount + 2) * width) / 8) / sectorBytes);
  return {
    isFat32,
    sectors,
    reserved,
    tableSectors,
    rootStart,
    rootSectors,
    dataStart,
    clusterCount,
    neededSectors,
  };
}

/**
 * The type follows from the number of clusters alone, says Microsoft; Linux takes FAT32 for what has the size of its table in the
 * field of FAT32. Null if there are too many clusters for the type.
 */
function widthOf(clusterCount: number, isFat32: boolean): FatWidth | null {
  if (isFat32) return 32;
  if (clusterCount < 4085) return 12;
  return clusterCount < 65_525 ? 16 : null;
}

/** Formatters make the table a little too long: by up to 8 sectors, rounded up to a cluster. More means a wrong size of clusters. */
function checkTableSize({ tableSectors, neededSectors }: Places, sectorsPerCluster: number): void {
  const mostSectors = neededSectors + 8 + sectorsPerCluster;
  if (tableSectors < neededSectors || tableSectors > mostSectors)
    throw new Doubt('the size of its table and its number of clusters disagree');
}

/** Throws Doubt unless the backup of the boot sector agrees, and both copies of the table are in use. */
function checkFat32(read: ReadAt, fields: DataView, sectorBytes: number): void {
  if ((fields.getUint16(40, true) & 0x80) !== 0) throw new Doubt('only one copy of its table is in use');
  if (fields.getUint16(42, true) !== 0) throw new Doubt('its version is not known');
  if (fields.getUint16(50, true) !== BACKUP_SECTOR || fields.getUint16(14, true) <= BACKUP_SECTOR)
    throw new Doubt('it has no backup of its boot sector');
  const backup = read(BACKUP_SECTOR * sectorBytes, BOOT_SECTOR_BYTES);
  for (let at = GEOMETRY.from; at < GEOMETRY.to; at++)
    if (backup[at] !== fields.getUint8(at))
      throw new Doubt('its boot sector and the backup of that disagree');
}
