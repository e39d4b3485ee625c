import { z } from 'zod';
import { damagedArchive } from '../codec/damaged-archive.ts';

/** The member that has the fingerprint of each disk's chunk map. */
export const FINGERPRINTS_NAME = 'fingerprints.json';
export const LONGEST_FINGERPRINTS_BYTES = 2 ** 20;

const fingerprints = z.record(z.string(), z.string().regex(/^sha256:[0-9a-f]{64}$/));

/** @param ofDisks by name */
export function fingerprintsText(ofDisks: ReadonlyMap<string, string>): string {
  return `${JSON.stringify(Object.fromEntries(ofDisks), null, 2)}\n`;
}

/** The fingerprint of each disk, by its name. Throws Failure `archive-damaged`. */
export function parseFingerprints(text: string): Map<string, string> {
  try {
    return new Map(Object.entries(fingerprints.parse(JSON.parse(text))));
  } catch (cause) {
    throw damagedArchive(`has a ${FINGERPRINTS_NAME} that is not valid`, cause);
  }
}
