import { basename } from 'node:path';

/** The formats of disk images, by QEMU's names: `vpc` is VHD, `cow` the copy-on-write file of User Mode Linux. */
export const imageFormats = ['raw', 'qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx', 'cow'] as const;
/** Those that QEMU reads by itself. */
export const qemuFormats = [
  'raw',
  'qcow2',
  'vmdk',
  'vdi',
  'vpc',
  'vhdx',
] as const satisfies readonly ImageFormat[];
export type ImageFormat = (typeof imageFormats)[number];
/** The formats whose bytes are not those of the disk. */
export type ContainerFormat = Exclude<ImageFormat, 'raw'>;

/** Where an image is; raw without a format. */
export interface FormattedImage {
  path: string;
  format?: ImageFormat;
  /** The backing file of a `cow` image, as the guest's definition names it. It may then lie anywhere. */
  backing?: string;
}

const formatByEnding: ReadonlyMap<string, ImageFormat> = new Map([
  ['qcow2', 'qcow2'],
  ['qcow', 'qcow2'],
  ['vmdk', 'vmdk'],
  ['vdi', 'vdi'],
  ['vhd', 'vpc'],
  ['vpc', 'vpc'],
  ['vhdx', 'vhdx'],
  ['cow', 'cow'],
]);

export function isImageFormat(text: string): text is ImageFormat {
  return (imageFormats as readonly string[]).includes(text);
}

/**
 * The format that an image's name tells: raw where its ending is of no other format. The content is never asked: the guest of a
 * raw image can write the header of any format there, and name files of the host in it.
 */
export function formatOfName(path: string): ImageFormat {
  const [, ending = ''] = /\.([^.]+)$/.exec(basename(path)) ?? [];
  return formatByEnding.get(ending.toLowerCase()) ?? 'raw';
}

const ownEnding: Record<ImageFormat, string> = {
  raw: '.img',
  qcow2: '.qcow2',
  vmdk: '.vmdk',
  vdi: '.vdi',
  vpc: '.vhd',
  vhdx: '.vhdx',
  cow: '.cow',
};

/** The file name for the same disk in another format: another ending where the old one would tell a wrong format. */
export function nameInFormat(name: string, format: ImageFormat): string {
  if (formatOfName(name) === format) return name;
  const stem = name.replace(/\.(img|raw|qcow2?|vmdk|vdi|vhdx?|vpc|cow)$/i, '');
  return `${stem === '' ? name : stem}${ownEnding[format]}`;
}
