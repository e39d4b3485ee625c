import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { ChosenPlace, MigrateRequest } from '../../operations/migrate/migration-report.ts';
import { flag, texts, type Arguments } from './options.ts';
import { controlCharacter } from '../../unprintable.ts';

/** Where the disks of a guest that moves go. */
export const placeOptions = {
  disk: {
    type: 'string',
    requiresArg: true,
    describe:
      'NAME=PATH: where one disk goes on the new hardware: a partition, a logical volume, a whole disk, or a new ' +
      'file. NAME: its slot in the guest (ubd0, vda), its file name, or root for that of the root file system. May be repeated',
  },
  overwrite: {
    type: 'boolean',
    describe: 'A device named with --disk may hold something: it is lost, even if the move fails',
  },
} as const satisfies Record<string, Options>;

/** Those that may be given several times. */
export const repeatablePlaceOptions = ['disk'] as const;

/** Throws Failure `usage`. */
export function readPlaces(args: Arguments): Pick<MigrateRequest, 'disks' | 'overwrite'> {
  return { disks: texts(args, 'disk').map(parseDiskPlace), overwrite: flag(args, 'overwrite') };
}

/** Parses `NAME=PATH`. Throws Failure `usage`. */
function parseDiskPlace(text: string): ChosenPlace {
  // A file's name may contain an equals sign, and the path begins with a slash.
  const { name, path } = /^(?<name>[^/]+?)=(?<path>\/.*)$/s.exec(text)?.groups ?? {};
  const problem =
    name === undefined || path === undefined
      ? 'it is not NAME=PATH with an absolute path'
      : controlCharacter.test(text)
        ? 'it contains a control character'
        : /\/(?:\.[^/]*)?$/.test(path)
          ? 'the path names no file or device, or its name begins with a dot'
          : null;
  if (problem === null && name !== undefined && path !== undefined) return { name, path };
  throw new Failure('usage', `--disk ${JSON.stringify(text)} is not understood: ${problem}.`, {
    advice: 'For example: --disk root=/dev/vg0/web, or --disk vdb=/srv/guests/data.img',
  });
}
