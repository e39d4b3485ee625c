import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import { mergeTouching, type Extent } from '../../../../extent/extents.ts';
import { errorCode } from '../../../../system/error-code.ts';
import { run } from '../../../../system/processes.ts';
import { QmpError, type Qmp } from '../qmp/qmp.ts';
import { listBitmaps, type RecordedDisk } from './recordings.ts';

/** QEMU answers from memory. */
const READ_LIMIT_MS = 120_000;

const socketIn = (directory: string) => join(directory, 'changes.sock');

/**
 * What the frozen bitmaps of the disks have, by the disk's index; or why it cannot be read, as the end of a sentence. QEMU shows a
 * bitmap only over NBD, and `qemu-img` reads it (docs/interop/nbd.txt). QEMU has one NBD server, which may be used by something else.
 * @param directory of this QEMU's account, and private
 */
export async function readWritten(
  qmp: Qmp,
  disks: readonly RecordedDisk[],
  directory: string,
  signal: AbortSignal,
): Promise<Map<number, Extent[]> | string> {
  const written = new Map<number, Extent[]>();
  if (disks.length === 0) return written;
  const path = socketIn(directory);
  try {
    await endLeftServer(qmp);
    await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
    const listed = await listBitmaps(qmp);
    for (const { node, sizeBytes, index, frozen: name } of disks) {
      const bitmap = listed.find((one) => one.node === node && one.name === name);
      if (bitmap === undefined) return 'its dirty bitmap is gone';
      await qmp.execute('block-export-add', {
        type: 'nbd',
        id: name,
        name,
        'node-name': node,
        bitmaps: [name],
      });
      const server = { type: 'unix', path };
      const context = `qemu:dirty-bitmap:${name}`;
      const image = { driver: 'nbd', server, export: name, 'x-dirty-bitmap': context };
      const { exitStatus, stdout, stderr } = await run(
        'qemu-img',
        ['map', '--output=json', `json:${JSON.stringify(image)}`],
        { signal, timeoutMs: READ_LIMIT_MS, env: { ...process.env, LC_ALL: 'C' } },
      );
      if (exitStatus !== 0) return `qemu-img: ${stderr.trim().slice(0, 500)}`;
      const extents = dirtyExtents(stdout, { ...bitmap, sizeBytes });
      if (extents === null) return 'qemu-img and QEMU do not agree on what is dirty';
      written.set(index, extents);
    }
    return written;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof QmpError && error.errorClass !== null) return error.message;
    if (errorCode(error) === 'ENOENT') return 'qemu-img is not installed (package qemu-utils)';
    throw error;
  } finally {
    await endServer(qmp, directory);
  }
}

/** The NBD server of a vmferry that was killed: nobody else's has its exports, and only one gives orders to a guest. */
async function endLeftServer(qmp: Qmp): Promise<void> {
  const exports = await qmp.execute('query-block-exports');
  const isLeft = ({ id, type }: { id?: unknown; type?: unknown }) =>
    type === 'nbd' && String(id).startsWith('vmferry-');
  if (Array.isArray(exports) && exports.some(isLeft)) await qmp.tryExecute('nbd-server-stop');
}

/** Ends the NBD server, with its exports, if it is the one that was started for this directory. QEMU removes the socket with it. */
export async function endServer(qmp: Qmp, directory: string): Promise<void> {
  if (!existsSync(socketIn(directory))) return;
  await qmp.tryExecute('nbd-server-stop').catch((error: unknown) => {
    if (!(error instanceof QmpError)) throw error;
  });
}

const ranges = z.array(
  z.object({ start: z.int().nonnegative(), length: z.int().nonnegative(), data: z.boolean() }),
);

/**
 * The dirty extents in what `qemu-img map` prints of a dirty bitmap, where `data: false` means dirty. Null unless it tells of the whole
 * disk, and of as many dirty bytes as QEMU itself: a program that knows no bitmaps would show something else.
 */
export function dirtyExtents(
  text: string,
  {
    sizeBytes,
    dirtyBytes,
    granularityBytes,
  }: { sizeBytes: number; dirtyBytes: number; granularityBytes: number },
): Extent[] | null {
  const { data: parsed } = ranges.safeParse(parseOrNull(text));
  if (parsed === undefined) return null;
  let position = 0;
  let dirty = 0;
  for (const { start, length, data } of parsed) {
    if (start !== position) return null;
    position += length;
    if (!data) dirty += length;
  }
  // QEMU counts the last granule as whole.
  const isLastDirty = parsed.at(-1)?.data === false;
  if (isLastDirty) dirty += Math.ceil(sizeBytes / granularityBytes) * granularityBytes - sizeBytes;
  if (position !== sizeBytes || dirty !== dirtyBytes) return null;
  const extents = parsed.filter(({ data }) => !data).map(({ start, length }) => ({ offset: start, length }));
  return [...mergeTouching(extents)];
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
