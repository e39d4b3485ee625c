import { z } from 'zod';
import { damagedArchive } from '../codec/damaged-archive.ts';
import { FINGERPRINTS_NAME } from './fingerprints.ts';

export const MANIFEST_NAME = 'manifest.json';
export const LONGEST_MANIFEST_BYTES = 4 * 2 ** 20;

const wholeNumber = z.int().nonnegative();

const manifest = z.looseObject({
  format: z.literal('vmferry-archive'),
  version: z.literal(1),
  /** The program that wrote it, and its version. */
  createdBy: z.string().max(100),
  /** The disks are as they were at this moment. */
  createdAt: z.iso.datetime(),
  /** The machine that it was made on (`Machine`). Both are optional. */
  host: z.string().max(255).optional(),
  machine: z.string().max(64).optional(),
  guest: z.string().min(1).max(255),
  consistency: z.enum(['halted', 'frozen', 'after-a-crash']),
  /** Present if the archive has this member behind its disks. */
  fingerprints: z.literal(FINGERPRINTS_NAME).optional(),
  /** As in doc/definition.md. */
  definition: z.unknown(),
  disks: z
    .array(
      z.looseObject({
        /** The member that holds it. */
        name: z.string().min(1).max(255),
        /** The disk's name in the definition. */
        device: z.string().max(64),
        sizeBytes: wholeNumber,
        /** Of the disk, how many bytes are in the archive; the rest is zero. */
        dataBytes: wholeNumber,
      }),
    )
    .max(256),
});

/** The first member of an archive: what it holds (doc/formats.md). */
export type Manifest = z.infer<typeof manifest>;

export function manifestText(content: Manifest): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Throws Failure `archive-damaged`. */
export function parseManifest(text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damagedArchive(`has a ${MANIFEST_NAME} that is not JSON`, cause);
  }
  const { success, data, error } = manifest.safeParse(json);
  if (success) return data;
  const [first] = error.issues;
  throw damagedArchive(
    `has a ${MANIFEST_NAME} that this version does not read: ${first?.path.join('.')}: ${first?.message}`,
  );
}
