/**
 * The guest's file systems that are on a disk and mounted for writing: `DEVICE on DIRECTORY`. They are found in its
 * /proc/mounts. Its /proc/filesystems marks the types that need no disk with `nodev`.
 */
export function writableDiskMounts(procMounts: string, procFilesystems: string): string[] {
  const diskless = new Set(
    procFilesystems
      .split('\n')
      .map((line) => line.split('\t'))
      .filter(([mark]) => mark === 'nodev')
      .map(([, type]) => type),
  );
  return procMounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(
      ([, , type, options]) =>
        type !== undefined && type !== 'rootfs' && !diskless.has(type) && isWritable(options),
    )
    .map(([device, directory]) => `${device} on ${directory}`);
}

function isWritable(options: string | undefined): boolean {
  return options?.split(',').includes('rw') ?? false;
}
