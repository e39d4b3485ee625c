import { rm } from 'node:fs/promises';
import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import type { ChunkList } from '../../chunk/chunk-list.ts';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import { asFailure, Failure } from '../../failure.ts';
import { makeAdaptation } from '../../guest/adaptation/make-adaptation.ts';
import { parseGuestDefinition, type GuestDefinition } from '../../guest/definition.ts';
import type { ImageAttributes } from '../../image/target/file-attributes.ts';
import type { ImageTarget } from '../../image/target/image-target.ts';
import { ImageApply } from '../../transfer/image-apply.ts';
import type {
  AdaptRequest,
  ClearRequest,
  DiskRequest,
  Finished,
  FinishRequest,
  OpenedDisk,
  OpenRequest,
  PublishedDisks,
  ReceiveProgress,
  SessionOptions,
  TakeRequest,
} from './session-requests.ts';
import { Spool } from './spool.ts';
import { takeChunks } from './take-chunks.ts';
import { openTarget } from './open-target.ts';

/** Each of two workers applies one while the next one is accepted. */
const PACKS_AT_ONCE = 2;
const MOST_DISKS = 256;

interface DiskInTheMaking {
  target: ImageTarget;
  apply: ImageApply;
  attributes: ImageAttributes;
  /** Packs that are being applied, the oldest first. */
  applying: Promise<void>[];
  isFinished: boolean;
}

/**
 * Everything that a receiver makes on the disk: a spool, incomplete images, published images. `undo` removes it, at any time;
 * after `keep` the published images stay. What was written to a block device stays there in any case.
 */
export class ReceiveSession {
  readonly #options: SessionOptions;
  readonly #made: ImageTarget[] = [];
  #spool: Spool | null = null;
  /** The disk that the next packs are for, as far as that is known. */
  #fillingDisk: DiskInTheMaking | null = null;
  /** In the order of their opening. */
  readonly #disks: DiskInTheMaking[] = [];
  #progress: ReceiveProgress = { verifiedBytes: 0, clearedBytes: 0 };
  #published: string[] = [];
  /** Those of the published images that are files, and files that were made for them. */
  #publishedFiles: string[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** The disks that were begun and are not published. */
  get targets(): readonly ImageTarget[] {
    return this.#made;
  }

  /** Begins a disk, or continues it. */
  async open(request: OpenRequest): Promise<OpenedDisk> {
    const { directory, name, path, format, overwrite = false, begun = false, claim, ...rest } = request;
    const { sizeBytes, chunkBytes, ...attributes } = rest;
    if (this.#disks.length === MOST_DISKS)
      throw new Failure('protocol-violation', 'There are too many disks.');
    const grid = chunkGridFor(sizeBytes);
    if (grid.chunkBytes !== chunkBytes) {
      throw new Failure(
        'protocol-violation',
        `Chunks of ${chunkBytes} bytes do not fit an image of ${sizeBytes}.`,
      );
    }
    const place = { directory, name, path, format };
    const target = await openTarget(place, {
      sizeBytes,
      mayOverwrite: overwrite,
      wasBegun: begun,
      owner: claim ?? null,
    });
    this.#made.push(target);
    this.#spool ??= await Spool.make(directory, this.#options.spoolParent, claim ?? null);
    this.#beginCount();
    const onReadBack = (bytes: number) => this.#progressed('verifiedBytes', bytes);
    const options = { pool: this.#options.pool, signal: this.#options.signal, onReadBack };
    const apply = new ImageApply(target, new ChunkMap(grid), options);
    this.#disks.push({ target, apply, attributes, applying: [], isFinished: false });
    this.#fillingDisk ??= this.#disks[0] ?? null;
    const isContinued = target.kind === 'partial-file' || (begun && target.kind === 'block-device');
    return { spool: this.#spool.directory, isContinued };
  }

  /** Finds out what a continued disk holds. */
  async survey({ disk }: DiskRequest, onFound: (found: ChunkList) => void): Promise<void> {
    const { apply } = this.#openDisk(disk);
    await apply.identify(onFound, (bytes) => this.#progressed('verifiedBytes', bytes));
    this.#beginCount();
  }

  /**
   * Writes a pack of the spool to the image. Returns as soon as another pack may come; calls `onApplied` when this one is in
   * the image. A later call throws what failed.
   */
  async applyPack(
    { id, disk: index }: DiskRequest & { id: string },
    onApplied: (plainBytes: number) => void,
  ): Promise<void> {
    const disk = this.#openDisk(index);
    const applying = this.#apply(disk, id).then(onApplied);
    applying.catch(() => undefined);
    disk.applying.push(applying);
    if (disk.applying.length > PACKS_AT_ONCE) await disk.applying.shift();
  }

  /** Call it when a pack has arrived, before it can be applied: it is not lost if the line breaks meanwhile. */
  expectPack({ disk: index = this.#disks.length - 1 }: DiskRequest): void {
    this.#fillingDisk = this.#disks[index] ?? null;
  }

  async #apply({ apply }: DiskInTheMaking, id: string): Promise<number> {
    const packPath = this.#spool?.pathOf(id) ?? '';
    const { plainBytes } = await apply.write({ packId: id, packPath });
    await rm(packPath);
    return plainBytes;
  }

  /**
   * Writes what has arrived of packs to the image that stays for later: also the frames at the beginning of a pack that is not complete. Who
   * continues the image reads it first, so nothing is checked here.
   */
  async #applyLeftPacks(): Promise<void> {
    const disk = this.#fillingDisk;
    if (this.#spool === null || disk === null || disk.isFinished) return;
    const { fd, directFd, imageBytes } = disk.target;
    const grid = chunkGridFor(imageBytes);
    for (const packPath of await this.#spool.files()) {
      const from = { packId: packPath, packPath };
      const job = { kind: 'apply', fd, directFd, grid, targetReadsAsZero: false, from } as const;
      // It fails at the first frame that is not whole.
      await this.#options.pool.run(job).catch(() => undefined);
    }
  }

  /** Empties chunks that an earlier pass has sent. */
  async clear({ disk, ranges }: Omit<ClearRequest, 'type'>): Promise<void> {
    const { apply, target } = this.#openDisk(disk);
    const { chunkCount } = chunkGridFor(target.imageBytes);
    const positions: number[] = [];
    for (const [first, count] of ranges) {
      if (first + count > chunkCount)
        throw new Failure('protocol-violation', `${target.path} has no chunk ${first + count - 1}.`);
      for (let position = first; position < first + count; position++) positions.push(position);
    }
    await apply.clear(positions);
  }

  /** Takes chunks from a disk that is here already. Returns the positions of those that it does not have. */
  async take({ from, ...request }: TakeRequest): Promise<number[]> {
    const { apply } = this.#openDisk(request.disk);
    const { pool, signal, grants } = this.#options;
    if ('disk' in from) {
      const target = this.#disks[from.disk]?.target;
      if (target === undefined) throw new Failure('protocol-violation', 'No such disk was begun.');
      return takeChunks(request, target.fd, apply, pool, signal);
    }
    const file = await grants.open(from.path, from.grant);
    try {
      return await takeChunks(request, file?.fd ?? null, apply, pool, signal);
    } finally {
      await file?.close();
    }
  }

  /** Ends a pass: when everything is read back, chunks may be sent again. */
  async endPass({ disk }: DiskRequest): Promise<void> {
    const { apply, applying } = this.#openDisk(disk);
    await Promise.all(applying.splice(0));
    await apply.endPass((bytes) => this.#progressed('clearedBytes', bytes));
    this.#beginCount();
  }

  /** Ends the disk: waits until everything is read back. */
  async finish({
    disk: index,
    fingerprint: expectedFingerprint,
    modifiedMs,
  }: FinishRequest): Promise<Finished> {
    const disk = this.#openDisk(index);
    const { target, apply, applying } = disk;
    await Promise.all(applying);
    await apply.clearRest((bytes) => this.#progressed('clearedBytes', bytes));
    const fingerprint = await apply.verify();
    if (fingerprint !== expectedFingerprint) {
      throw new Failure(
        'verification-failed',
        `${target.workingPath} is complete, but its fingerprint differs from that of the old image.`,
      );
    }
    if (modifiedMs !== undefined) disk.attributes.modifiedMs = modifiedMs;
    disk.isFinished = true;
    this.#beginCount();
    return { fingerprint, readBack: target.readBackMethod };
  }

  #beginCount(): void {
    this.#progress = { verifiedBytes: 0, clearedBytes: 0 };
  }

  #progressed(what: keyof ReceiveProgress, bytes: number): void {
    this.#progress[what] += bytes;
    this.#options.onProgress(this.#progress);
  }

  /** @param index absent: the last one */
  #openDisk(index = this.#disks.length - 1): DiskInTheMaking {
    const disk = this.#disks[index];
    if (disk === undefined || disk.isFinished)
      throw new Failure('protocol-violation', 'No such disk was begun, or it is finished.');
    return disk;
  }

  /** Gives all images their attributes and their names. */
  async publish(): Promise<PublishedDisks> {
    if (this.#disks.some(({ isFinished }) => !isFinished))
      throw new Failure('protocol-violation', 'A disk is not finished.');
    await this.#spool?.remove();
    let ownersKept = true;
    for (const { target, attributes } of this.#disks) {
      // Not earlier: an incomplete file of another account is not continued.
      ownersKept = (await target.setAttributes(attributes)) && ownersKept;
      await target.publish();
      this.#published.push(target.path);
      if (target.kind !== 'block-device') this.#publishedFiles.push(target.path);
      await target[Symbol.asyncDispose]();
    }
    this.#made.length = 0;
    return { paths: this.#published, ownersKept };
  }

  /** Adapts the published copies of a guest to this machine. Returns the definition to boot. */
  async adapt({ guest, root, edits, bootArchive, bootFiles }: AdaptRequest): Promise<GuestDefinition> {
    const definition = parseGuestDefinition(guest);
    for (const place of [root, bootFiles])
      if (place && !this.#published.includes(place.path))
        throw new Failure('protocol-violation', `${place.path} is not an image that was received.`);
    const paths = this.#options.bootFilesOf(definition.name);
    // Nothing had these names: whatever is there when it fails is of this move.
    const makesInitrd = bootArchive !== null || (bootFiles?.initrds.length ?? 0) > 0;
    if (makesInitrd) this.#publishedFiles.push(paths.initrd);
    if (bootFiles !== undefined) this.#publishedFiles.push(paths.kernel);
    const archive = bootArchive === null ? null : Buffer.from(bootArchive, 'base64');
    const work = { definition, root, edits, bootArchive: archive, bootFiles: bootFiles ?? null };
    return makeAdaptation(work, paths, { signal: this.#options.signal });
  }

  /** From now on `undo` does not remove the published images. */
  keep(): void {
    this.#publishedFiles = [];
  }

  /**
   * Removes as much as possible, then throws the first error.
   * @param forLater incomplete images with a claim stay: the same move can be continued
   */
  async undo(forLater = false): Promise<void> {
    for (const { applying, apply } of this.#disks.splice(0)) {
      await Promise.allSettled(applying);
      await apply[Symbol.asyncDispose]();
    }
    if (forLater) await this.#applyLeftPacks().catch(() => undefined);
    const made = this.#made.splice(0);
    const unwanted = made.filter(({ hasClaim }) => !(forLater && hasClaim));
    const removals = [
      ...unwanted.map((target) => () => target.remove()),
      ...made.map((target) => () => target[Symbol.asyncDispose]()),
      ...this.#publishedFiles.splice(0).map((path) => () => rm(path, { force: true })),
      () => this.#spool?.remove() ?? Promise.resolve(),
    ];
    const errors: unknown[] = [];
    for (const remove of removals) await remove().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw asFailure(errors[0]);
  }
}
