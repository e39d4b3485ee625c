import type { Manifest } from '../../archive/manifest.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import { parseGuestDefinition, type GuestDefinition } from '../../guest/definition.ts';

/** Null if the archive is of an image that no guest uses. Throws Failure `archive-damaged`. */
export function definitionIn({ definition }: Manifest): GuestDefinition | null {
  if ((definition ?? null) === null) return null;
  try {
    return parseGuestDefinition(definition);
  } catch (cause) {
    throw damagedArchive('has a definition that this version does not read', cause);
  }
}
