import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { damagedArchive } from '../codec/damaged-archive.ts';
import { fromFailureParts, orShortage, type FailureParts } from '../failure.ts';

/** Asks for the next piece. With input if the last answer wanted some: null at its end. */
export interface BunzipRequest {
  input?: Uint8Array | null;
}

export type BunzipAnswer =
  | { kind: 'piece'; piece: Uint8Array }
  | { kind: 'wants-input' }
  | { kind: 'end' }
  | { kind: 'failed'; failure: FailureParts };

/** A block takes a second. A damaged one can keep the decoder busy for ever. */
const LONGEST_BLOCK_MS = 300_000;

/**
 * Unpacks bzip2 in a thread of its own, 6 MB/s. Throws Failure `archive-damaged` and `program-missing`.
 * @param workerUrl the built bunzip2-worker.js
 */
export async function* bunzipInThread(
  workerUrl: URL,
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = pieces[Symbol.asyncIterator]();
  const worker = new Worker(workerUrl);
  try {
    for (let request: BunzipRequest = {}; ;) {
      const answer = await answerOf(worker, request, signal);
      request = {};
      if (answer.kind === 'end') return;
      if (answer.kind === 'failed') throw fromFailureParts(answer.failure);
      if (answer.kind === 'piece') yield answer.piece;
      else {
        const next = await input.next();
        // A copy: the owner of the piece uses its memory again.
        request = { input: next.done === true ? null : Uint8Array.from(next.value) };
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    throw orShortage(error);
  } finally {
    await worker.terminate();
    await input.return?.();
  }
}

async function answerOf(worker: Worker, request: BunzipRequest, signal: AbortSignal): Promise<BunzipAnswer> {
  const late = AbortSignal.timeout(LONGEST_BLOCK_MS);
  const answered = once(worker, 'message', { signal: AbortSignal.any([signal, late]) });
  worker.postMessage(request);
  try {
    const [answer] = (await answered) as [BunzipAnswer];
    return answer;
  } catch (error) {
    if (late.aborted) throw damagedArchive('has a block of bzip2 that does not end', error);
    throw error;
  }
}
