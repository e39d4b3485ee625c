import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import { packFileName } from '../../pack/pack.ts';
import { asFailure, Failure } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { ImageAttributes } from '../../image/target/file-attributes.ts';
import { ImageTarget } from '../../image/target/image-target.ts';
import { ImageAssembly, type AppliedPack } from '../../transfer/image-assembly.ts';
import { ReadBackQueue } from '../../transfer/read-back-queue.ts';

/** Beside the one that just came: two workers have one each, and the next is being read. */
const PACKS_AT_ONCE = 2;

export interface OpenRequest extends ImageAttributes {
  directory: string;
  name: string;
  sizeBytes: number;
  chunkBytes: number;
}

interface DiskInTheMaking {
  target: ImageTarget;
  assembly: ImageAssembly;
  attributes: ImageAttributes;
  /** Packs that are being applied, the oldest first. */
  applying: Promise<void>[];
  readBack: ReadBackQueue<AppliedPack>;
}

/**
 * What a receiver has on the disk: a spool, images in the making, images published. `undo` removes all of it, at any
 * time; `keep` makes the published images stay.
 */
export class ReceiveSession {
  readonly #pool: FramePool;
  readonly #onVerified: (bytes: number) => void;
  readonly #made: ImageTarget[] = [];
  #spool: string | null = null;
  #disk: DiskInTheMaking | null = null;
  #published: string[] = [];

  constructor(pool: FramePool, onVerified: (verifiedBytes: number) => void) {
    this.#pool = pool;
    this.#onVerified = onVerified;
  }

  /** Begins a disk; answers with the spool directory. */
  async open({ directory, name, sizeBytes, chunkBytes, ...attributes }: OpenRequest): Promise<string> {
    if (this.#disk !== null)
      throw new Failure('protocol-violation', 'A disk was begun before the last was finished.');
    if (chunkGridFor(sizeBytes).chunkBytes !== chunkBytes) {
      throw new Failure(
        'protocol-violation',
        `Chunks of ${chunkBytes} bytes do not fit an image of ${sizeBytes}.`,
      );
    }
    const target = await ImageTarget.create(join(directory, name), sizeBytes);
    this.#made.push(target);
    this.#spool ??= await mkdtemp(join(directory, '.vmferry-spool-'));
    const assembly = new ImageAssembly(target, this.#pool);
    let verifiedBytes = 0;
    const onVerified = (bytes: number) => {
      verifiedBytes += bytes;
      this.#onVerified(verifiedBytes);
    };
    const readBack = new ReadBackQueue<AppliedPack>((packs) => assembly.readBack(packs, onVerified));
    this.#disk = { target, assembly, attributes, applying: [], readBack };
    return this.#spool;
  }

  /**
   * Takes the pack from the spool into the image. It returns as soon as a further pack may come; `onApplied` is called when
   * this one is in the image. What fails is thrown by a later call.
   */
  async applyPack(id: string, onApplied: (plainBytes: number) => void): Promise<void> {
    const disk = this.#currentDisk();
    const applying = this.#apply(disk, id, this.#spool ?? '').then(onApplied);
    applying.catch(() => undefined);
    disk.applying.push(applying);
    if (disk.applying.length > PACKS_AT_ONCE) await disk.applying.shift();
  }

  async #apply({ assembly, readBack }: DiskInTheMaking, id: string, spool: string): Promise<number> {
    const path = join(spool, packFileName(id));
    const applied = await assembly.apply(id, path);
    await rm(path);
    readBack.push(applied);
    return applied.plainBytes;
  }

  /** Ends the disk: everything read back, its attributes set. */
  async finish(expectedFingerprint: string): Promise<Finished> {
    const { target, assembly, attributes, applying, readBack } = this.#currentDisk();
    await Promise.all(applying);
    await readBack.settled();
    const fingerprint = await assembly.finish();
    if (fingerprint !== expectedFingerprint) {
      throw new Failure(
        'verification-failed',
        `${target.workingPath} is complete, but its fingerprint differs from that of the old image.`,
      );
    }
    const ownerKept = await target.setAttributes(attributes);
    this.#disk = null;
    return { fingerprint, readBack: target.readBackMethod, ownerKept };
  }

  #currentDisk(): DiskInTheMaking {
    if (this.#disk === null) throw new Failure('protocol-violation', 'No disk was begun.');
    return this.#disk;
  }

  /** Gives all images their names. */
  async publish(): Promise<string[]> {
    if (this.#disk !== null) throw new Failure('protocol-violation', 'A disk is not finished.');
    await this.#removeSpool();
    for (const target of this.#made) {
      await target.publish();
      this.#published.push(target.path);
      await target[Symbol.asyncDispose]();
    }
    this.#made.length = 0;
    return this.#published;
  }

  /** From now on `undo` leaves the published images alone. */
  keep(): void {
    this.#published = [];
  }

  /** What cannot be removed does not keep the rest from being removed; its error is thrown at the end. */
  async undo(): Promise<void> {
    const disk = this.#disk;
    this.#disk = null;
    await Promise.allSettled(disk?.applying ?? []);
    await disk?.readBack.settled().catch(() => undefined);
    const removals = [
      ...this.#made
        .splice(0)
        .flatMap((target) => [() => target.discard(), () => target[Symbol.asyncDispose]()]),
      ...this.#published.splice(0).map((path) => () => rm(path, { force: true })),
      () => this.#removeSpool(),
    ];
    const errors: unknown[] = [];
    for (const remove of removals) await remove().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw asFailure(errors[0]);
  }

  async #removeSpool(): Promise<void> {
    // Tried again: the SFTP server may be making a pack in it meanwhile.
    const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 };
    if (this.#spool !== null) await rm(this.#spool, options);
    this.#spool = null;
  }
}

export interface Finished {
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
  ownerKept: boolean;
}
