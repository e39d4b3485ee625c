import { closeSync, readlinkSync, readSync } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { Failure } from '../../../failure.ts';
import { quoteForShell } from '../../../quote-for-shell.ts';
import { openImageFile, type ImageFile } from '../../source/image-file.ts';
import type { ContainerDescription } from '../../source/image-source.ts';
import type { BackingReference, ContainerFacts } from '../containers/container-facts.ts';
import { type HeaderFile } from '../containers/header-file.ts';
import { readContainer } from '../containers/read-container.ts';
import { isImageFormat, type ContainerFormat, type ImageFormat } from '../image-format.ts';
import { isNamedForBacking } from './backing-directories.ts';
import type { ChainFile } from './block-graph.ts';

/** A file of an image's chain. */
export interface Link extends ChainFile {
  path: string;
  /** Null for a raw file. */
  facts: ContainerFacts | null;
}

/** What the headers of a chain tell of its disk, which has so many bytes. */
export function describeChain(
  [top, ...below]: readonly [Link, ...Link[]],
  sizeBytes: number,
): ContainerDescription {
  const { sizeBytes: statedBytes = sizeBytes, snapshots = [], snapshotCount = 0 } = top.facts ?? {};
  return {
    backingFiles: below.map(({ path, format }) => ({ path, format })),
    snapshots,
    snapshotCount,
    statedBytes,
  };
}

/** No chain that is in use is as long; a circle is. */
const MOST_FILES = 32;

/**
 * Opens the backing files of an image: the topmost file first. Each lies in the directory of the image, or below it, or
 * where the person said (`withBackingDirectories`), and its format is stated in the image above it. The caller closes all descriptors but the first. Throws Failure `image-unsupported` for any
 * other backing file, and for one that was changed since the image was made over it, where the image notes that; and what
 * `readContainer` and `openImageFile` throw.
 * @param named the backing file of a `cow` image, as the guest's definition has it: it may lie anywhere
 */
export function openChain(
  file: ImageFile,
  format: ContainerFormat,
  named: string | null = null,
): [Link, ...Link[]] {
  const top = linkOf(file, format);
  const chain: [Link, ...Link[]] = [top];
  try {
    for (let last: Link = top; last.facts?.backing; chain.push(last)) {
      if (chain.length === MOST_FILES)
        throw refusedBacking(top, `has more than ${MOST_FILES} backing files, or a circle of them`);
      last = openBacking(top, last.path, last.facts.backing, last === top && format === 'cow' ? named : null);
    }
    return chain;
  } catch (error) {
    closeBelow(chain);
    throw error;
  }
}

/** Closes all files but the first. */
export function closeBelow([, ...others]: readonly Link[]): void {
  for (const { fd } of others) closeSync(fd);
}

function openBacking(
  top: Link,
  above: string,
  { name, format, madeOver }: BackingReference,
  named: string | null,
): Link {
  if (named === null && !isPlainPath(name))
    throw refusedBacking(top, `has a backing file that is not a plain path: ${name}`);
  if (format === null)
    throw refusedBacking(
      top,
      `does not say which format its backing file ${name} has`,
      `Say it, if you know it: qemu-img rebase -u -f qcow2 -F FORMAT -b ${quoteForShell(name)} ${quoteForShell(above)}`,
    );
  if (!isImageFormat(format))
    throw refusedBacking(top, `has a backing file of the format ${format}, which is not read`);
  const file = openImageFile(named ?? resolve(dirname(above), name));
  try {
    if (named === null && !mayBeRead(top, file))
      throw refusedBacking(
        top,
        `has a backing file outside its own directory: ${file.path}`,
        outsideAdvice(top, file.path),
      );
    if (!file.stats.isFile())
      throw refusedBacking(top, `has a backing file that is not a regular file: ${file.path}`);
    if (madeOver !== undefined) refuseChanged(top.path, file, madeOver);
    return linkOf(file, format);
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
}

/** The file that was opened is where its path says, and that is a place for backing files. */
function mayBeRead(top: Link, { path, fd }: ImageFile): boolean {
  const isAllowed = path.startsWith(directoryOf(top.path)) || isNamedForBacking(path);
  return isAllowed && readlinkSync(`/proc/self/fd/${fd}`) === path;
}

/** As User Mode Linux does (backing_file_mismatch() in arch/um/drivers/ubd_user.c): the image's blocks fit only the file as it was. */
function refuseChanged(
  top: string,
  { path, stats }: ImageFile,
  madeOver: { sizeBytes: number; modifiedSeconds: number },
): void {
  const modifiedSeconds = Math.floor(stats.mtimeMs / 1000) % 2 ** 32;
  if (stats.size !== madeOver.sizeBytes)
    throw unlikeBefore(
      top,
      path,
      `it had ${madeOver.sizeBytes} bytes, and has ${stats.size}`,
      'Find the file as it was, such as in a backup.',
    );
  if (modifiedSeconds === madeOver.modifiedSeconds) return;
  const [was, is] = [madeOver.modifiedSeconds, modifiedSeconds].map((seconds) =>
    new Date(seconds * 1000).toISOString(),
  );
  throw unlikeBefore(
    top,
    path,
    `it was last changed at ${was}, and now at ${is}`,
    `If it is certainly the same file, only copied, give it its time back: touch -d @${madeOver.modifiedSeconds} ${quoteForShell(path)}. Else find the file as it was, such as in a backup.`,
  );
}

function unlikeBefore(top: string, backing: string, what: string, advice: string): Failure {
  return new Failure(
    'image-unsupported',
    `${top} does not fit its backing file ${backing} any more: ${what}.`,
    {
      advice: `User Mode Linux refuses it, too. ${advice}`,
    },
  );
}

function directoryOf(path: string): string {
  const directory = dirname(path);
  return directory === sep ? sep : directory + sep;
}

/** QEMU takes a name that begins with letters and a colon for a protocol (`nbd:`, `json:`, `file:`), unless a slash comes first. */
function isPlainPath(name: string): boolean {
  return isAbsolute(name) || !/^[^/]*:/.test(name);
}

function linkOf(file: ImageFile, format: ImageFormat): Link {
  const { path, fd, stats } = file;
  return {
    path,
    fd,
    stats,
    format,
    facts: format === 'raw' ? null : readContainer(headerFile(file), format),
  };
}

/** A block device has no size of its own here; no header lies beyond its end. */
export function headerFile({ path, fd, stats }: ImageFile): HeaderFile {
  return {
    path,
    sizeBytes: stats.isFile() ? stats.size : Number.MAX_SAFE_INTEGER,
    read(offset, length) {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    },
  };
}

function refusedBacking(top: Link, what: string, advice?: string): Failure {
  return new Failure('image-unsupported', `${top.path} ${what}.`, {
    advice:
      advice ??
      `A backing file is read only if it is a plain file in the image's own directory. Put it there, or, if you trust it, make one image of both: ${mergeCommand(top)}`,
  });
}

function outsideAdvice(top: Link, path: string): string {
  return `If you know that the disk is built on this file, name its directory: --backing-directory ${quoteForShell(dirname(path))}. Or make one image of both: ${mergeCommand(top)}`;
}

function mergeCommand({ path, format }: Link): string {
  const named = quoteForShell(path);
  return format === 'cow' ? `uml_moo ${named} NEW` : `qemu-img convert -O qcow2 ${named} NEW.qcow2`;
}
