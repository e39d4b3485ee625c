import { join } from 'node:path';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { newFilePlace } from '../../image/target/place.ts';
import { requireRoom } from '../../image/target/target-place.ts';
import type { ImageTarget } from '../../image/target/image-target.ts';
import type { Resources } from '../../pipeline/resources.ts';
import { bounded, DiskImport, type ImportedDisk, type PlacedBytes } from '../../transfer/disk-import.ts';
import { ImageApply } from '../../transfer/image-apply.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { isDirectory, openDiskTarget, type DiskTarget } from './disk-target.ts';
import type { UnpackedDisk, UnpackTarget } from './unpacked.ts';

const SECTOR_BYTES = 512;

/** A disk in an archive, or an image. */
export interface IncomingDisk {
  name: string;
  /** Null: it ends where its data ends. */
  sizeBytes: number | null;
  dataBytes: number;
  data: PlacedBytes;
  /** Whether its SHA-256 is wanted. */
  hashes: boolean;
}

/** The disks of a file: written and read back, but without their names until `publish`. */
export class UnpackedDisks {
  readonly reports: UnpackedDisk[] = [];
  readonly #targets: ImageTarget[] = [];
  readonly #request: UnpackTarget;
  readonly #pool: FramePool;
  readonly #held: Resources;
  readonly #context: Context;

  /** @param held disposes of the targets */
  constructor(request: UnpackTarget, pool: FramePool, held: Resources, context: Context) {
    this.#request = request;
    this.#pool = pool;
    this.#held = held;
    this.#context = context;
  }

  /** Throws Failure `target-full` unless all these disks fit into the directory; a single place is looked at by `add`. */
  async requireRoom(disks: readonly { sizeBytes: number; dataBytes: number }[]): Promise<void> {
    const { to } = this.#request;
    if (!(await isDirectory(to))) return;
    await requireRoom(
      disks.map(({ sizeBytes, dataBytes }, index) => ({
        place: newFilePlace(join(to, `disk${index}`), sizeBytes),
        neededBytes: dataBytes,
      })),
    );
  }

  /** Writes a disk, and reads it back. Throws what `openDiskTarget` and `DiskImport.write` throw, and `verification-failed`. */
  async add(disk: IncomingDisk): Promise<void> {
    if (disk.sizeBytes !== null) requireDiskSize(disk.name, disk.sizeBytes);
    const opened = await openDiskTarget({ ...this.#request, ...disk });
    const { target, grid } = opened;
    this.#held.hold(target);
    this.#targets.push(target);
    const { signal } = this.#context;
    const map = new ChunkMap(grid);
    const apply = this.#held.hold(
      new ImageApply(target, map, { pool: this.#pool, signal, onReadBack: () => undefined }),
    );
    const writing = new DiskImport(target, apply, grid, { signal, hashes: disk.hashes });
    const written = await writing.write(
      bounded(disk.data, opened.limitBytes, () => tooLong(disk, opened)),
      disk.sizeBytes,
    );
    if (written.sizeBytes === 0) throw damagedArchive('holds an empty image');
    requireDiskSize(disk.name, written.sizeBytes);
    await apply.settled();
    await apply.sync();
    // On a device, every byte of the disk was written, and has been read back.
    if (target.isEmpty) await apply.verify();
    if (disk.sizeBytes === null) await target.cutTo(written.sizeBytes);
    const fingerprint = disk.sizeBytes === null ? null : map.fingerprint();
    this.#note(disk, target, apply, { ...written, fingerprint });
  }

  #note(
    { name }: IncomingDisk,
    target: ImageTarget,
    { writtenBytes }: ImageApply,
    written: ImportedDisk & Pick<UnpackedDisk, 'fingerprint'>,
  ): void {
    const { path, readBackMethod } = target;
    this.reports.push({ name, target: path, ...written, writtenBytes, readBack: readBackMethod });
  }

  /** Gives all of them their names. */
  async publish(): Promise<void> {
    for (const target of this.#targets) await target.publish();
  }

  /** Removes the new files, and says which devices were written to. */
  async discard(): Promise<void> {
    for (const target of this.#targets) {
      await target.discard();
      if (target.kind !== 'block-device') continue;
      const message = `${target.path} is partly overwritten: do not use what it holds now.`;
      this.#context.report({ type: 'warning', code: 'device-overwritten', message });
    }
  }
}

function requireDiskSize(name: string, sizeBytes: number): void {
  if (sizeBytes > 0 && sizeBytes % SECTOR_BYTES === 0) return;
  throw new Failure('image-not-a-disk', `${name} has ${sizeBytes} bytes, so it is not a whole disk image.`, {
    advice: 'A disk has a multiple of 512 bytes. The image was probably cut off before it was compressed.',
  });
}

function tooLong({ name, sizeBytes }: IncomingDisk, { target, limitBytes }: DiskTarget): Failure {
  if (sizeBytes !== null) return damagedArchive(`holds more of ${name} than it states`);
  if (target.kind === 'block-device')
    return new Failure('target-full', `${target.path} has ${limitBytes} bytes, and the image is larger.`, {
      advice: 'Name a larger device, or a file.',
    });
  return new Failure(
    'image-unsupported',
    `The image is larger than ${formatBytes(limitBytes)} when it is unpacked.`,
    {
      advice: 'Unpack it with its own program first, and import the image: then its size is known before.',
    },
  );
}
