import { basename } from 'node:path';
import { Failure } from '../../failure.ts';
import {
  formatOfName,
  nameInFormat,
  type FormattedImage,
  type ImageFormat,
} from '../formats/image-format.ts';

/** The formats that images are written in. */
export const targetFormats = ['raw', 'qcow2'] as const;
export type TargetFormat = (typeof targetFormats)[number];

/**
 * The format of a copy, unless the person wants another one: raw stays raw, a copy-on-write file of User Mode Linux becomes raw,
 * which is what that reads, and everything else becomes qcow2.
 */
export function targetFormatOf(source: ImageFormat, wanted: TargetFormat | null | undefined): TargetFormat {
  return wanted ?? (source === 'raw' || source === 'cow' ? 'raw' : 'qcow2');
}

/**
 * The format of a copy whose path a person has chosen: that of its name, if it tells one. A device gets the bytes of the disk. Throws
 * Failure `usage` for the name of a format that is not written.
 */
export function targetFormatFor(path: string, source: ImageFormat): TargetFormat {
  if (path.startsWith('/dev/') || /\.(img|raw)$/i.test(path)) return 'raw';
  const named = formatOfName(path);
  if (named === 'raw') return targetFormatOf(source, null);
  if (named === 'qcow2') return named;
  throw new Failure('usage', `${path} is named like an image of the format ${named}, which is not written.`, {
    advice: 'Choose a name that ends in .qcow2 or .img, or say what is to be written: --format raw',
  });
}

/** The file name of a copy: that of the image, with another ending where it gets another format. */
export function targetNameOf(
  { path, format = 'raw' }: FormattedImage,
  wanted: TargetFormat | null | undefined = null,
): string {
  const target = targetFormatOf(format, wanted);
  return target === format ? basename(path) : nameInFormat(basename(path), target);
}
