import { stat } from 'node:fs/promises';
import { packFileName } from '../../pack/pack.ts';
import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { Store } from '../../store/store.ts';
import { captureImage, PACKS_IN_FLIGHT } from '../../transfer/capture.ts';
import { refuseChanged, stampImages } from '../../image/usage/image-stamp.ts';
import { CompressionLevel, type Compression } from '../../transfer/compression-level.ts';
import type { RemoteReceiver } from '../../wire/remote-receiver.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';
import { SpoolCredit } from '../../wire/spool-credit.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { SPOOL_LIMIT_BYTES } from '../../wire/messages.ts';

export interface SendDependencies {
  pool: FramePool;
  receiver: RemoteReceiver;
  openSpool: (directory: string) => Store;
  compression: Compression;
}

export interface SentDisk {
  sentBytes: number;
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
  warnings: readonly string[];
}

/** Copies one disk to the new hardware, until it is verified there. */
export async function sendDisk(
  disk: SourceDisk,
  directory: string,
  dependencies: SendDependencies,
  context: Context,
): Promise<SentDisk> {
  const { receiver } = dependencies;
  const stamps = await stampImages([disk.source]);
  const before = await stat(disk.source.path);
  const { spool } = await receiver.request(
    {
      type: 'open',
      directory,
      name: disk.name,
      sizeBytes: disk.source.sizeBytes,
      chunkBytes: chunkGridFor(disk.source.sizeBytes).chunkBytes,
      mode: before.mode & 0o777,
      uid: before.uid,
      gid: before.gid,
      modifiedMs: before.mtimeMs,
    },
    'opened',
    context.signal,
  );
  const { sentBytes, fingerprint } = await runStage(
    context,
    'copy',
    `copying ${disk.name}`,
    () => copyPacks(disk, spool, dependencies, context),
    () => `copied ${disk.name}`,
  );
  await refuseChanged(stamps, 'Find out what writes to it, and move it again.');
  const verified = await runStage(
    context,
    'verify',
    `reading ${disk.name} back on ${receiver.machine.name}`,
    () => receiver.request({ type: 'finish', fingerprint }, 'verified', context.signal),
    () => `${disk.name} reads back as it was sent`,
  );
  if (verified.fingerprint !== fingerprint) {
    throw new Failure(
      'verification-failed',
      `The fingerprint of ${disk.name} on ${receiver.machine.name} differs from the one here.`,
    );
  }
  return { sentBytes, fingerprint, readBack: verified.readBack, warnings: verified.warnings };
}

async function copyPacks(
  disk: SourceDisk,
  spool: string,
  { pool, receiver, openSpool, compression }: SendDependencies,
  context: Context,
): Promise<{ sentBytes: number; fingerprint: string }> {
  const credit = new SpoolCredit(SPOOL_LIMIT_BYTES, context.signal);
  const sizeById = new Map<string, number>();
  let readBytes = 0;
  /** Plain bytes that were read and that the new hardware does not have yet. */
  let waitingBytes = 0;
  let doneBytes = 0;
  let sentBytes = 0;
  let plainBytes = 0;
  const report = () => {
    // Whole chunks wait, but only what is in use of them was read.
    doneBytes = Math.max(doneBytes, Math.floor(readBytes - waitingBytes));
    context.report({ type: 'progress', stage: 'copy', doneBytes, totalBytes: disk.readBytes, sentBytes });
  };
  using watch = receiver.watch('copy');
  receiver.onApplied = ({ id }) => {
    const sizeBytes = sizeById.get(id);
    if (sizeBytes === undefined) return false;
    sizeById.delete(id);
    credit.give(sizeBytes);
    watch.progressed();
    return true;
  };
  receiver.onProgress = ({ verifiedBytes }) => {
    const totalBytes = Math.max(disk.readBytes, plainBytes);
    context.report({ type: 'progress', stage: 'verify', doneBytes: verifiedBytes, totalBytes, sentBytes });
  };
  const onRead = (bytes: number, packedBytes: number) => {
    readBytes += bytes;
    waitingBytes += packedBytes;
    report();
  };
  await using store = openSpool(spool);
  const level = new CompressionLevel(compression);
  const { packs, map } = captureImage(disk.source, {
    extents: disk.extents(),
    level: () => level.current,
    pool,
    packNaming: 'random',
    onRead,
  });
  const sends = mapOrdered(level.watch(packs), PACKS_IN_FLIGHT, async (pack) => {
    const { id, bytes: packBytes } = pack;
    const sizeBytes = packBytes.length;
    plainBytes += pack.plainBytes;
    using _ = watch.waiting();
    await credit.take(sizeBytes);
    const onWritten = (bytes: number) => {
      watch.progressed();
      sentBytes += bytes;
      waitingBytes -= (bytes / sizeBytes) * pack.plainBytes;
      report();
    };
    // A spool is for minutes: should the power go, the move begins again anyway.
    await store.put(packFileName(id), [packBytes], { signal: context.signal, onWritten, durable: false });
    pool.reuse(pack);
    sizeById.set(id, sizeBytes);
    receiver.send({ type: 'pack', id, sizeBytes });
  });
  for await (const _ of sends) context.signal.throwIfAborted();
  return { sentBytes, fingerprint: map.fingerprint() };
}
