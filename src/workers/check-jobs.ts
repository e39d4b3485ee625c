import { packIdOf } from '../pack/pack-format.ts';
import { packedChunksOf, type PackedFrame } from '../pack/pack-layout.ts';
import { storedFramesOf } from '../pack/read-pack.ts';
import type { Seal } from '../seal/seal.ts';
import { noSeal, sealFor } from '../seal/seal-for.ts';
import type { Zstd } from '../codec/zstd.ts';
import { Failure } from '../failure.ts';
import type { Scratch } from './scratch.ts';
import type { CheckFramesJob, CheckJob, CheckResult, SealedChunk, SealedFrame } from './jobs.ts';
import { isChunk, openFrame } from './open-frame.ts';

/** Also finds the undamaged chunks of a damaged pack. */
export async function checkPack(
  { packId, packParts, sealKey }: CheckJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<CheckResult> {
  const found = new Findings(zstd, scratch);
  const pack = `The pack ${packId.slice(0, 12)}…`;
  if (packIdOf(packParts) !== packId) found.damage ??= `${pack} does not match its SHA-256.`;
  try {
    for await (const frame of storedFramesOf(packId, packParts, sealFor(sealKey))) {
      const { chunks, compressed, offsetBytes, sizeBytes } = frame;
      found.frames.push({ offsetBytes, sizeBytes, chunks: packedChunksOf(chunks) });
      await found.add({ bytes: compressed, chunks }, noSeal, pack);
    }
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'pack-damaged') throw error;
    found.damage ??= error.message;
  }
  return found.result();
}

export async function checkFrames(
  { frames, sealKey }: CheckFramesJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<CheckResult> {
  const found = new Findings(zstd, scratch);
  const seal = sealFor(sealKey);
  for (const frame of frames) await found.add(frame, seal, 'A frame');
  return found.result();
}

class Findings {
  damage: string | null = null;
  readonly frames: PackedFrame[] = [];
  readonly #zstd: Zstd;
  readonly #scratch: Scratch;
  readonly #good: SealedChunk[] = [];
  #plainBytes = 0;

  constructor(zstd: Zstd, scratch: Scratch) {
    this.#zstd = zstd;
    this.#scratch = scratch;
  }

  /** @param holder the frame or its pack, as the subject of the message about damage */
  async add(frame: SealedFrame, seal: Seal, holder: string): Promise<void> {
    const plains = openFrame(frame, seal, this.#zstd, this.#scratch);
    if (plains === null) this.damage ??= `${holder} cannot be unpacked to the chunks that it should hold.`;
    let frameBytes = 0;
    for (const [index, plain] of (plains ?? []).entries()) {
      const chunk = frame.chunks[index];
      if (chunk !== undefined && isChunk(chunk, plain)) {
        this.#good.push(chunk);
        this.#plainBytes += plain.length;
      } else this.damage ??= `${holder} holds a chunk that does not match its SHA-256.`;
      frameBytes += plain.length;
    }
    await this.#scratch.tidyUp(frameBytes);
  }

  result(): CheckResult {
    const { damage, frames } = this;
    return { good: packedChunksOf(this.#good), frames, plainBytes: this.#plainBytes, damage };
  }
}
