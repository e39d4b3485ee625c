import { parentPort } from 'node:worker_threads';
import { bunzip2 } from '../codec/bunzip2.ts';
import { asFailure, toFailureParts } from '../failure.ts';
import type { BunzipAnswer, BunzipRequest } from './bunzip2-thread.ts';

/* The entry of a thread that unpacks bzip2: gives one piece for each request, or asks for input. */

const unpacking = bunzip2();

function answerTo({ input }: BunzipRequest): BunzipAnswer {
  try {
    const step = input === undefined ? unpacking.next(new Uint8Array()) : unpacking.next(input);
    if (step.done === true) return { kind: 'end' };
    return step.value === null ? { kind: 'wants-input' } : { kind: 'piece', piece: step.value };
  } catch (error) {
    return { kind: 'failed', failure: toFailureParts(asFailure(error)) };
  }
}

parentPort?.on('message', (request: BunzipRequest) => {
  const answer = answerTo(request);
  parentPort?.postMessage(answer, answer.kind === 'piece' ? [answer.piece.buffer as ArrayBuffer] : []);
});
