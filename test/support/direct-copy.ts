import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Extent } from '../../src/extent/extents.ts';
import type { Context, Event } from '../../src/events.ts';
import type { ChunksThere } from '../../src/operations/migrate/passes/chunks-there.ts';
import { DiskCopy } from '../../src/operations/migrate/passes/disk-copy.ts';
import type { MoveSending, VerifiedDisk } from '../../src/operations/migrate/passes/disk-sending.ts';
import type { PassBytes } from '../../src/operations/migrate/passes/pass-report.ts';
import type { SpoolSink } from '../../src/operations/migrate/passes/spool-sink.ts';
import { Grants } from '../../src/operations/receive/grants.ts';
import { publishImages } from '../../src/operations/receive/publish-images.ts';
import { ReceiveSession } from '../../src/operations/receive/session.ts';
import { newBootFilePaths } from '../../src/guest/boot-menu/boot-file-paths.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { runsOf, type ChunkList } from '../../src/chunk/chunk-list.ts';
import { rangesOf } from '../../src/chunk/chunk-ranges.ts';
import type { ImageFormat } from '../../src/image/formats/image-format.ts';
import { openImage } from '../../src/image/open-image.ts';
import { PACK_LIMIT_BYTES, packFileName, type Pack } from '../../src/pack/pack.ts';
import { openSourceDisk } from '../../src/transfer/source-disk.ts';
import { MOST_TAKEN, type MoverMessage } from '../../src/wire/messages.ts';
import type { RemoteReceiver } from '../../src/wire/remote-receiver.ts';
import type { FramePool } from '../../src/workers/frame-pool.ts';

/** The copy of one image to a file, by a mover and a receiver of one process: only the wire between them is missing. */
export interface DirectCopy extends AsyncDisposable {
  events: Event[];
  /** The packs that the receiver is told of, but that never reach it. */
  losesPacks: boolean;
  /** @param written as in `RunningPass`; null unless given */
  pass(written?: readonly Extent[] | null): Promise<PassBytes>;
  lastPass(written?: readonly Extent[] | null): Promise<PassBytes>;
  finish(): Promise<VerifiedDisk>;
  publish(): Promise<void>;
  /** See `ReceiveSession`. */
  adapt(request: Omit<Extract<MoverMessage, { type: 'adapt' }>, 'type'>): Promise<GuestDefinition>;
  /** Ends as after a lost line: what another copy can go on with stays. */
  breakOff(): Promise<void>;
}

/**
 * The copy is raw.
 * @param wasCopiedWhileRunning whether an earlier copy, which this one goes on with, was made in passes
 * @param format of the image
 * @param sharing the name of the copy, and what copies of the same command have
 */
export async function directCopy(
  image: string,
  directory: string,
  pool: FramePool,
  wasCopiedWhileRunning = false,
  format: ImageFormat = 'raw',
  { name = 'copy', chunksThere = null }: { name?: string; chunksThere?: ChunksThere | null } = {},
): Promise<DirectCopy> {
  const grants = new Grants(join(directory, 'grant-key'));
  const grantByPath = new Map<string, string>();
  const session = new ReceiveSession({
    pool,
    signal: new AbortController().signal,
    spoolParent: directory,
    bootFilesOf: (guest) => newBootFilePaths(directory, guest),
    grants,
    onProgress: () => undefined,
  });
  const events: Event[] = [];
  const context: Context = { signal: new AbortController().signal, report: (event) => events.push(event) };
  const tellFound = (found: ChunkList) => {
    for (const { first, ids } of runsOf(found))
      receiver.onHas({ type: 'has', disk: 0, first, ids: Buffer.from(ids).toString('base64') });
  };
  const handle = async (message: MoverMessage): Promise<unknown> => {
    if (message.type === 'open') {
      const { spool, isContinued } = await session.open(message);
      return { spool, continued: isContinued };
    }
    if (message.type === 'survey') return session.survey(message, tellFound);
    if (message.type === 'clear') return session.clear(message);
    if (message.type === 'take') {
      const [lacking = []] = rangesOf(await session.take(message), MOST_TAKEN);
      return { lacking };
    }
    if (message.type === 'pass') return session.endPass(message);
    if (message.type === 'finish') return { ...(await session.finish(message)), warnings: [] };
    throw new Error(`no answer to ${message.type}`);
  };
  // One after the other, as they would come by the wire.
  let handled: Promise<unknown> = Promise.resolve();
  const request = (message: MoverMessage) => (handled = handled.then(async () => handle(message)));
  const receiver = {
    machine: { name: 'newhost' },
    request,
    grantOf: (path: string) => grantByPath.get(path) ?? null,
    send: (message: MoverMessage) => void request(message).catch(() => undefined),
  } as unknown as RemoteReceiver;
  let plainBytes = 0;
  const copying = { losesPacks: false };
  const sinkOf = (spool: string) =>
    ({
      disk: 0,
      get plainBytes() {
        return plainBytes;
      },
      async put(pack: Pack, _signal: AbortSignal, onWritten: (bytes: number) => void) {
        plainBytes += pack.plainBytes;
        onWritten(pack.bytes.length);
        if (copying.losesPacks) return;
        await writeFile(join(spool, packFileName(pack.id)), pack.bytes);
        await session.applyPack({ id: pack.id }, () => undefined);
      },
    }) as unknown as SpoolSink;
  const sending: MoveSending = {
    pool,
    receiver,
    compression: 1,
    claim: { machine: 'old', guest: 'web' },
    packLimitBytes: PACK_LIMIT_BYTES,
    chunksThere,
    sink: sinkOf,
  };
  const place = {
    disk: { device: 'vda', path: image, readOnly: false, format },
    path: join(directory, name),
    isChosen: false,
    format: 'raw',
  } as const;
  await using source = await openImage(image, { format, isInUse: true });
  const to = { directory, overwrite: false, begun: false };
  const copy = await DiskCopy.begin(place, 0, source, to, sending, context);
  let hasPassed = wasCopiedWhileRunning;
  const opened = () => openSourceDisk({ path: image, format }, { everyBlock: false });
  return Object.assign(copying, {
    events,
    pass(written: readonly Extent[] | null = null) {
      hasPassed = true;
      return copy.passWhileItRuns({ held: null, written }, context);
    },
    async lastPass(written: readonly Extent[] | null = null) {
      await using disk = await opened();
      return await copy.lastPass(disk, hasPassed ? { written } : null, context);
    },
    async finish() {
      await using disk = await opened();
      return await copy.finish(disk, context.signal);
    },
    async publish() {
      const published = await publishImages(session, chunksThere && grants, context);
      for (const [index, path] of published.paths.entries())
        grantByPath.set(path, published.grants?.[index] ?? '');
      // Later copies take chunks from it.
      if (chunksThere !== null) session.keep();
    },
    adapt: (work: Parameters<DirectCopy['adapt']>[0]) => session.adapt({ type: 'adapt', ...work }),
    async breakOff() {
      copy[Symbol.dispose]();
      await session.undo(true);
    },
    async [Symbol.asyncDispose]() {
      copy[Symbol.dispose]();
      await session.undo();
    },
  });
}
