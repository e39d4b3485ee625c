import { stat } from 'node:fs/promises';
import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import type { Context, Warning } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { Store } from '../../store/store.ts';
import { refuseChanged, stampImages } from '../../image/usage/image-stamp.ts';
import type { Compression } from '../../transfer/compression-level.ts';
import { sendPacks } from '../../transfer/send-packs.ts';
import { SendProgress } from '../../transfer/send-progress.ts';
import type { RemoteReceiver } from '../../wire/remote-receiver.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { PlacedDisk } from './place-disks.ts';
import { wirePlace } from './wire-place.ts';
import { SpoolSink } from './spool-sink.ts';

/** Shared by all disks of a move while they are sent. */
export interface DiskSending {
  pool: FramePool;
  receiver: RemoteReceiver;
  openSpool: (directory: string) => Store;
  compression: Compression;
}

/** Where a disk goes on the new hardware. */
export interface DiskDestination {
  directory: string | null;
  place: PlacedDisk;
  /** Whether the content of a block device may be lost. */
  overwrite: boolean;
}

export interface SentDisk {
  sentBytes: number;
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
  warnings: readonly Warning[];
}

/** Copies one disk to the new hardware, until it is verified there. */
export async function sendDisk(
  disk: SourceDisk,
  to: DiskDestination,
  sending: DiskSending,
  context: Context,
): Promise<SentDisk> {
  const { receiver } = sending;
  const stamps = await stampImages([disk.source]);
  const before = await stat(disk.source.path);
  const { spool } = await receiver.request(
    {
      type: 'open',
      directory: to.directory,
      ...wirePlace(to.place),
      ...(to.overwrite && { overwrite: true }),
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
    () => copyDisk(disk, spool, sending, context),
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

async function copyDisk(
  { source, extents, readBytes }: SourceDisk,
  spool: string,
  { receiver, openSpool, pool, compression }: DiskSending,
  context: Context,
): Promise<Pick<SentDisk, 'sentBytes' | 'fingerprint'>> {
  await using sink = new SpoolSink(receiver, openSpool(spool), context.signal);
  const progress = new SendProgress('copy', readBytes, context);
  // Also called after the copy, while the rest is read back.
  receiver.onProgress = ({ verifiedBytes: doneBytes }) => {
    const totalBytes = Math.max(readBytes, sink.plainBytes);
    const { sentBytes } = progress;
    context.report({ type: 'progress', stage: 'verify', doneBytes, totalBytes, sentBytes });
  };
  const map = new ChunkMap(chunkGridFor(source.sizeBytes));
  const pass = { source, extents: extents(), map, progress };
  await sendPacks(pass, { pool, compression, sink, packNaming: 'random' }, context.signal);
  return { sentBytes: progress.sentBytes, fingerprint: map.fingerprint() };
}
