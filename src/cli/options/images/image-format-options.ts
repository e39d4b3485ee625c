import type { Options } from 'yargs';
import {
  imageFormats,
  targetFormats,
  type ImageFormat,
  type TargetFormat,
} from '../../../operations/guests/image-formats.ts';
import { Failure } from '../../../failure.ts';
import { optionalText, type Arguments } from '../options.ts';

/** The format of an image that is named by its path. */
export const imageFormatOption = {
  type: 'string',
  describe: `The format of the image: ${imageFormats.join(', ')} (default: by its name, else raw)`,
  requiresArg: true,
} as const satisfies Options;

/** Null when not given. Throws Failure `usage`. */
export function imageFormat(args: Arguments): ImageFormat | null {
  return chosen(args, 'image-format', imageFormats);
}

/** As a part of a request. Throws Failure `usage`. */
export function readImageFormat(args: Arguments): { imageFormat?: ImageFormat } {
  const format = imageFormat(args);
  return format === null ? {} : { imageFormat: format };
}

/** The format of the new image. */
export const targetFormatOption = {
  type: 'string',
  describe: `The format of the new images: ${targetFormats.join(' or ')} (default: raw for raw and cow, else qcow2)`,
  requiresArg: true,
} as const satisfies Options;

/** As a part of a request. Throws Failure `usage`. */
export function readTargetFormat(args: Arguments): { format?: TargetFormat } {
  const format = chosen(args, 'format', targetFormats);
  return format === null ? {} : { format };
}

function chosen<Format extends string>(
  args: Arguments,
  option: string,
  formats: readonly Format[],
): Format | null {
  const value = optionalText(args, option);
  if (value === null) return null;
  const format = formats.find((one) => one === value);
  if (format !== undefined) return format;
  throw new Failure('usage', `--${option} takes one of ${formats.join(', ')}.`, {
    advice: 'VHD is called vpc, as by QEMU.',
  });
}
