import { basename } from 'node:path';
import { nameInFormat, type FormattedImage, type ImageFormat } from '../formats/image-format.ts';

/** The formats that images are written in. */
export const targetFormats = ['raw', 'qcow2'] as const;
export type TargetFormat = (typeof targetFormats)[number];

/** The format of a copy: raw stays raw, and everything else becomes qcow2, unless the person wants another one. */
export function targetFormatOf(source: ImageFormat, wanted: TargetFormat | null): TargetFormat {
  return wanted ?? (source === 'raw' ? 'raw' : 'qcow2');
}

/** The file name of a copy: that of the image, with another ending where it gets another format. */
export function targetNameOf(
  { path, format = 'raw' }: FormattedImage,
  wanted: TargetFormat | null = null,
): string {
  const target = targetFormatOf(format, wanted);
  return target === format ? basename(path) : nameInFormat(basename(path), target);
}
