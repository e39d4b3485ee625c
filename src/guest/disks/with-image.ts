import type { DiskDefinition, ImageFormatName } from '../definition.ts';

/** The disk with another image, or with its own. Another one has no backing file. */
export function withImage(
  disk: DiskDefinition,
  image: { path: string; format: ImageFormatName },
): DiskDefinition {
  const { format: _, backing, ...rest } = disk;
  const isSame = image.format === 'cow' && image.path === disk.path;
  return {
    ...rest,
    path: image.path,
    ...(image.format !== 'raw' && { format: image.format }),
    ...(isSame && backing !== undefined && { backing }),
  };
}
