import { Doubt } from '../doubt.ts';

/*
 * Feature bits of ext2, ext3 and ext4. Source: Linux, fs/ext4/ext4.h (EXT4_FEATURE_*).
 */

export const compat = { hasJournal: 0x4, sparseSuper2: 0x200 } as const;
export const incompat = {
  recover: 0x4,
  journalDevice: 0x8,
  metaBg: 0x10,
  has64bit: 0x80,
  flexBg: 0x200,
  checksumSeed: 0x2000,
} as const;
export const roCompat = {
  sparseSuper: 0x1,
  gdtChecksum: 0x10,
  bigalloc: 0x200,
  metadataChecksum: 0x400,
  orphanPresent: 0x10000,
} as const;

/**
 * Features that this parser handles, or that do not change which blocks are in use. It does not handle, for example,
 * compression, lazy_bg, exclude_bitmap, has_snapshot, replica, shared_blocks.
 */
const knownCompat = 0x4 | 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x200 | 0x400 | 0x800 | 0x1000;
const knownIncompat =
  0x2 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;
const knownRoCompat =
  0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000;

export interface Features {
  compat: number;
  incompat: number;
  roCompat: number;
}

/** Throws Doubt on an unknown feature: it may change which blocks are in use. */
export function readFeatures(fields: DataView): Features {
  const features = {
    compat: fields.getUint32(0x5c, true),
    incompat: fields.getUint32(0x60, true),
    roCompat: fields.getUint32(0x64, true),
  };
  const revision = fields.getUint32(0x4c, true);
  if (revision > 1) throw new Doubt(`its revision ${revision} is not known`);
  if (revision === 0 && (features.compat | features.incompat | features.roCompat) !== 0)
    throw new Doubt('it has features, although its revision 0 has none');
  if ((features.incompat & incompat.journalDevice) !== 0)
    throw new Doubt('it is the journal of another file system');
  const unknown =
    (features.compat & ~knownCompat) |
    (features.incompat & ~knownIncompat) |
    (features.roCompat & ~knownRoCompat);
  if (unknown !== 0) throw new Doubt('it has features that vmferry does not know');
  return features;
}
