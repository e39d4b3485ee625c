import { join } from 'node:path';
import type { Manifest } from '../../archive/manifest.ts';
import { splitCompressedName } from '../../codec/compression-format.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import { Failure } from '../../failure.ts';
import type { ArchivedGuest } from '../../guest/guest-source.ts';
import { isGuestName, type GuestDefinition } from '../../guest/definition.ts';
import { withImage } from '../../guest/disks/with-image.ts';
import { imagesDefinition } from '../../guest/offline-definition.ts';
import type { Machine } from '../../system/machine.ts';
import { definitionIn } from './definition-in-manifest.ts';
import type { Unpacked } from './unpacked.ts';

/** Where an archive was found. */
export interface ArchiveHome {
  /** For people. */
  text: string;
  /** Of the file. */
  name: string;
  /** Images that no guest uses count as being in this directory, under their own names. */
  directory: string;
  /** The machine of that directory. */
  machine: Machine;
}

/** A guest whose disks were unpacked. */
export interface GuestInFile {
  /** With its disks where they were unpacked to. */
  definition: GuestDefinition;
  archived: ArchivedGuest;
}

/**
 * The guest in a file that was unpacked: as its manifest describes it, or else images that no guest uses. Throws Failure `archive-damaged`
 * if manifest and disks do not fit together, and `guest-unsupported` for a name that no guest can have.
 */
export function guestInFile(
  { manifest, disks }: Pick<Unpacked, 'manifest' | 'disks'>,
  home: ArchiveHome,
): GuestInFile {
  const state =
    manifest === null ? null : { createdAt: new Date(manifest.createdAt), consistency: manifest.consistency };
  const described = manifest === null ? null : definitionIn(manifest);
  if (manifest === null || described === null) {
    const name = requireName(manifest?.guest ?? stemOf(home.name), home);
    const here = disks.map(({ target }) => ({ path: target }));
    const beside = disks.map((disk) => ({ path: join(home.directory, disk.name) }));
    return {
      definition: imagesDefinition(name, here),
      archived: { definition: imagesDefinition(name, beside), machine: home.machine, state },
    };
  }
  const targets = targetsByDevice(manifest, disks);
  if (targets.size !== described.disks.length)
    throw damagedArchive(`holds ${targets.size} disks, and its guest has ${described.disks.length}`);
  const unpacked = described.disks.map((disk) => {
    const target = targets.get(disk.device);
    if (target === undefined) throw damagedArchive(`lacks the disk ${disk.device} of its guest`);
    return withImage(disk, { path: target, format: 'raw' });
  });
  const { host, machine: id } = manifest;
  const madeOn = host === undefined ? home.machine : { host, id: id ?? null };
  return {
    definition: { ...described, disks: unpacked },
    archived: { definition: described, machine: madeOn, state },
  };
}

/** Where each disk of the guest was unpacked to. */
function targetsByDevice(manifest: Manifest, disks: Unpacked['disks']): Map<string, string> {
  const targetOf = new Map(disks.map(({ name, target }) => [name, target]));
  return new Map(manifest.disks.map(({ device, name }) => [device, targetOf.get(name) ?? '']));
}

/** The file's name without what says only how it is packed: `web` of `web.tar.zst`, `debian-root` of `debian-root.bz2`. */
function stemOf(name: string): string {
  return splitCompressedName(name).stem.replace(/(?<=.)\.(?:tar|ova)$/i, '');
}

function requireName(name: string, { text }: ArchiveHome): string {
  if (isGuestName(name)) return name;
  throw new Failure(
    'guest-unsupported',
    `${text} gives its guest a name that vmferry cannot use: ${JSON.stringify(name)}.`,
    {
      advice:
        'Import it, and name the image: at most 200 bytes, and it must not begin with a dot or a dash, such as `guest.img`.',
    },
  );
}
