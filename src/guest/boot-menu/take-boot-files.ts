import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { Debugfs } from '../../image/contents/debugfs.ts';
import type { ExtFile } from '../../image/contents/ext-file.ts';
import { followExtLinks } from '../../image/contents/follow-links.ts';
import type { FormattedImage } from '../../image/formats/image-format.ts';
import { openImage } from '../../image/open-image.ts';
import { here, placed } from '../../placed-text.ts';
import { errorCode } from '../../system/error-code.ts';
import { syncDirectory } from '../../system/sync-directory.ts';
import { MOST_INITRD_BYTES } from '../inspection/inspect-kernels.ts';
import { kernelVersion } from '../inspection/kernel-version.ts';
import { MOST_KERNEL_BYTES, type BootFiles } from './guest-kernel.ts';
import { makePassable } from './make-passable.ts';

/** A guest's files, and where their file system is. */
export interface BootFilesInImage extends BootFiles {
  image: FormattedImage;
  /** In bytes, on the disk. */
  offset: number;
}

/** Files of this machine that are made for a guest. */
export interface BootFilePaths {
  kernel: string;
  initrd: string;
}

/** Linux looks for the next archive at a multiple of 4 bytes, as boot loaders write them. */
const ALIGNMENT = 4;

/**
 * Takes a guest's kernel and initial RAM disk out of an image that nobody writes to. Both get their names when both are whole and on the
 * disk; files with these names are replaced. Only this account may read them: libvirt gives its QEMU the right to. Returns null for
 * the initial RAM disk of a kernel without one. Throws Failure `read-failed` and `write-failed`.
 */
export async function takeBootFiles(
  { image, offset, kernel, initrds }: BootFilesInImage,
  targets: BootFilePaths,
  { signal }: Pick<Context, 'signal'>,
): Promise<{ kernel: string; initrd: string | null }> {
  const temporary = { kernel: temporaryPath(targets.kernel), initrd: temporaryPath(targets.initrd) };
  await using source = await openImage(image.path, image);
  const place = { path: `/proc/${process.pid}/fd/${source.fd}`, offset, image: image.path };
  await using debugfs = await Debugfs.open(place, signal);
  const kernelFile = await requireFile(debugfs, kernel, MOST_KERNEL_BYTES);
  let left = MOST_INITRD_BYTES;
  const initrdFiles: ExtFile[] = [];
  for (const path of initrds) {
    const file = await requireFile(debugfs, path, left);
    left -= file.sizeBytes;
    initrdFiles.push(file);
  }
  try {
    for (const path of [targets.kernel, targets.initrd]) await makePassable(dirname(path));
    await debugfs.dumpTo(kernelFile, temporary.kernel);
    if (kernelVersion(temporary.kernel) === null)
      throw notTaken(image, `${kernel} is no kernel that QEMU can load`);
    await sync(temporary.kernel);
    if (initrdFiles.length > 0) await joinFiles(debugfs, initrdFiles, temporary.initrd);
    if (initrdFiles.length > 0) await rename(temporary.initrd, targets.initrd);
    await rename(temporary.kernel, targets.kernel);
    for (const path of [targets.initrd, targets.kernel]) await syncDirectory(dirname(path));
  } catch (error) {
    for (const path of Object.values(temporary)) await rm(path, { force: true }).catch(() => undefined);
    if (error instanceof Failure) throw error;
    signal.throwIfAborted();
    throw new Failure(
      'write-failed',
      placed`The guest's kernel could not be written to ${dirname(targets.kernel)} ${here}: ${errorCode(error)}.`,
      { cause: error },
    );
  }
  return { kernel: targets.kernel, initrd: initrdFiles.length === 0 ? null : targets.initrd };
}

function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

/** The look before the copy is not trusted: the guest may have run on since, and anybody may have written the image. */
async function requireFile(debugfs: Debugfs, path: string, mostBytes: number): Promise<ExtFile> {
  const found = await followExtLinks(debugfs, path);
  if (found?.file.type !== 'regular') throw notTaken(imagePathOf(debugfs), `${path} is not there`);
  const { sizeBytes } = found.file;
  if (sizeBytes > mostBytes)
    throw notTaken(
      imagePathOf(debugfs),
      `${path} has ${sizeBytes} bytes, and at most ${mostBytes} are taken`,
    );
  return found.file;
}

function imagePathOf({ place: { path, image = path } }: Debugfs): { path: string } {
  return { path: image };
}

function notTaken({ path }: { path: string }, why: string): Failure {
  return new Failure(
    'read-failed',
    placed`The guest's kernel cannot be taken out of ${path} ${here}: ${why}.`,
    {
      advice:
        'The guest may have got another kernel meanwhile: give the same command again. Or name a kernel of the new machine: --kernel FILE.',
    },
  );
}

async function joinFiles(debugfs: Debugfs, files: readonly ExtFile[], target: string): Promise<void> {
  const [first, ...others] = files;
  if (first === undefined) return;
  await debugfs.dumpTo(first, target);
  const file = await open(target, 'a');
  try {
    let sizeBytes = first.sizeBytes;
    for (const other of others) {
      const part = `${target}.part`;
      try {
        await debugfs.dumpTo(other, part);
        const padding = Buffer.alloc(-sizeBytes & (ALIGNMENT - 1));
        await file.appendFile(Buffer.concat([padding, await readFile(part)]));
        sizeBytes += padding.length + other.sizeBytes;
      } finally {
        await rm(part, { force: true });
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
