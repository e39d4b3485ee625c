import type { ExportFile } from '../../operations/exchange/export-report.ts';
import {
  compressionFormats,
  splitCompressedName,
  type CompressionFormat,
} from '../../operations/exchange/formats.ts';
import { basename, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { FilePlace } from '../../operations/unpack/file-place.ts';
import type { InputSource } from '../../operations/unpack/input.ts';
import type { ArchivesElsewhere } from '../../operations/unpack/open-guest.ts';
import { parseLocation } from './store-location.ts';
import { flag, optionalText, text, type Arguments } from './options.ts';

/** By the name of the file, and by the options. Throws Failure `usage`. */
export function readExportFile(args: Arguments): Omit<ExportFile, 'compression'> {
  const named = text(args, 'output');
  const codec = readCodec(args);
  const isImage = flag(args, 'image');
  if (named === '-') return { output: null, content: isImage ? 'image' : 'archive', format: codec ?? 'zstd' };
  const { stem, format } = splitCompressedName(basename(named));
  const byName = /\.tar$/i.test(stem) ? 'archive' : /\.(img|raw)$/i.test(stem) ? 'image' : null;
  if (byName === null && codec === null)
    throw new Failure('usage', `The name of ${named} does not tell what is to be written.`, {
      advice:
        'End it with .tar.zst, .tar.gz, .tar.xz, .tar.bz2 or .tar for an archive, or with .img.zst, .img.bz2, .img and so on for the bare image. Or use --codec.',
    });
  const content = isImage ? 'image' : (byName ?? 'archive');
  return { output: readFilePlace(args, named), content, format: codec ?? format };
}

/** Null when not given. Throws Failure `usage`. */
function readCodec(args: Arguments): CompressionFormat | null {
  const value = optionalText(args, 'codec');
  if (value === null) return null;
  const format = compressionFormats.find((one) => one === value);
  if (format !== undefined) return format;
  throw new Failure('usage', `--codec takes one of ${compressionFormats.join(', ')}.`);
}

/** A path of this machine, or HOST:PATH as for a store. Throws Failure `usage`. */
export function readFilePlace(args: Arguments, named: string): FilePlace {
  const location = parseLocation(named, 'file');
  if (location.kind === 'directory') return { path: resolve(named), host: null };
  const sshConfigFile = optionalText(args, 'ssh-config');
  const { destination, port, path } = location;
  return {
    path,
    host: { destination, port, sshConfigFile: sshConfigFile === null ? null : resolve(sshConfigFile) },
  };
}

/**
 * What may be an archive that is no file of this machine: `-`, and HOST:PATH as for a store. Throws Failure `usage`.
 * @param names as they were typed; guests may be among them, and a guest's name may have a colon, too
 */
export function readElsewhere(args: Arguments, names: readonly string[], stdin: Readable): ArchivesElsewhere {
  const found = new Map<string, InputSource>();
  for (const name of names) {
    if (name === '-') found.set(name, stdin);
    const place = name.includes(':') ? placeElsewhere(args, name) : null;
    if (place !== null) found.set(name, place);
  }
  return found;
}

function placeElsewhere(args: Arguments, name: string): FilePlace | null {
  try {
    const place = readFilePlace(args, name);
    return place.host === null ? null : place;
  } catch (error) {
    // Without a slash it may be a guest's name.
    if (name.includes('/')) throw error;
    return null;
  }
}

/** For commands that take an archive in the place of a guest. */
export const scratchOption = {
  type: 'string',
  requiresArg: true,
  describe:
    'Directory to which an archive or a compressed image is unpacked meanwhile (default: beside it; needed for - and HOST:PATH)',
} as const satisfies Options;

/** Absolute; null: beside the archive. */
export function readScratch(args: Arguments): string | null {
  const directory = optionalText(args, 'scratch');
  return directory === null ? null : resolve(directory);
}
