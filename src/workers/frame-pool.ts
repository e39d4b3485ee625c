import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Pack } from '../pack/pack.ts';
import { Failure, fromFailureParts, orShortage } from '../failure.ts';
import { tidyUpAfterAnswers, tidyUpAfterPacks } from '../system/memory/garbage.ts';
import { memoryOf, withIdsOfTheirOwn } from './job-memory.ts';
import {
  packOf,
  STARTED,
  type AnswerMessage,
  type JobMessage,
  type SpareMemoryMessage,
  type StartedMessage,
} from './job-message.ts';
import type { Job, ResultOf } from './jobs.ts';

/** Four cores compress faster than ssh can encrypt on one core. Each worker takes 40 to 75 MB. */
const MOST_THREADS = 4;

/** Jobs that wait at each worker, so that it never waits for the main thread. */
const QUEUE_PER_WORKER = 1;

/**
 * Only a garbage collection frees a frame's large buffers. The small objects that point to them fill a larger young
 * generation so slowly that collections would be rare.
 */
const YOUNG_GENERATION_MEBIBYTES = 2;

interface Pending {
  /** Memory that was handed to the worker. */
  givenBytes: number;
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

/**
 * Worker threads, one per core and four at most. They share this process's file descriptors, so only packs pass between
 * threads, never plain bytes of images.
 */
export class FramePool implements AsyncDisposable {
  /** The number of jobs in flight that keeps all workers busy. */
  readonly width: number;
  readonly #workers: Worker[];
  readonly #load: number[];
  readonly #pending = new Map<number, Pending>();
  /** Which worker made the pack in this memory. */
  readonly #makers = new WeakMap<ArrayBufferLike, Worker>();
  #nextNumber = 0;
  #dead: Failure | null = null;
  #ended: Promise<void> = Promise.resolve();
  readonly #started: Promise<void>[] = [];

  /** @param workerUrl the built frame-worker.js */
  constructor(workerUrl: URL, threads = Math.min(availableParallelism(), MOST_THREADS)) {
    this.width = threads * (1 + QUEUE_PER_WORKER);
    this.#load = Array.from({ length: threads }, () => 0);
    this.#workers = this.#load.map((_, index) => this.#startWorker(workerUrl, index));
  }

  #startWorker(workerUrl: URL, index: number): Worker {
    const worker = new Worker(workerUrl, {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MEBIBYTES },
    });
    this.#started.push(startOf(worker));
    worker.on('message', (answer: AnswerMessage | StartedMessage) => {
      if (answer === STARTED) return;
      const pending = this.#pending.get(answer.number);
      if (pending === undefined) return;
      this.#pending.delete(answer.number);
      this.#load[index] = (this.#load[index] ?? 0) - 1;
      const packBytes = packOf(answer)?.bytes;
      if (packBytes !== undefined) this.#makers.set(packBytes.buffer, worker);
      if ('failure' in answer) pending.reject(fromFailureParts(answer.failure));
      else pending.resolve(answer.result as never);
      tidyUpAfterPacks(pending.givenBytes + (packBytes?.length ?? 0));
      tidyUpAfterAnswers(1);
    });
    worker.on('error', (error) => {
      const known = orShortage(error);
      const failed = new Failure('internal', `A worker thread failed: ${error.message}.`, { cause: error });
      this.#fail(known instanceof Failure ? known : failed);
    });
    worker.on('exit', (status) => {
      this.#fail(new Failure('internal', `A worker thread ended by itself, with status ${status}.`));
    });
    return worker;
  }

  #fail(failure: Failure): void {
    if (this.#dead !== null) return;
    this.#dead = failure;
    const abandoned = [...this.#pending.values()];
    this.#pending.clear();
    // Jobs are rejected only when no worker uses a file any more: then the caller may close it.
    this.#ended = this.#terminate().then(() => {
      for (const pending of abandoned) pending.reject(failure);
    });
  }

  /** Waits until the threads have started: ending a thread while it loads a native library ends the whole process. */
  async #terminate(): Promise<void> {
    await Promise.all(this.#started);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /**
   * Does the job on the worker with the fewest jobs. Rejects with the job's Failure. The bytes of packs and frames in it
   * are handed over: do not use them afterwards.
   */
  run<OneJob extends Job>(job: OneJob): Promise<ResultOf<OneJob>> {
    return this.#runOn(this.#load.indexOf(Math.min(...this.#load)), job);
  }

  /** Does the job on each worker. */
  runOnEach<OneJob extends Job>(job: OneJob): Promise<ResultOf<OneJob>[]> {
    return Promise.all(this.#workers.map((_, index) => this.#runOn(index, job)));
  }

  #runOn<OneJob extends Job>(index: number, job: OneJob): Promise<ResultOf<OneJob>> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const worker = this.#workers[index];
    if (worker === undefined) throw new Error('a frame pool without workers');
    this.#load[index] = (this.#load[index] ?? 0) + 1;
    const number = this.#nextNumber++;
    return new Promise<ResultOf<OneJob>>((resolve, reject) => {
      const given = memoryOf(job);
      const givenBytes = given.reduce((sum, { byteLength }) => sum + byteLength, 0);
      this.#pending.set(number, { givenBytes, resolve: resolve as (result: never) => void, reject });
      const message: JobMessage = { number, job: withIdsOfTheirOwn(job) };
      worker.postMessage(message, given);
    });
  }

  /** Returns a pack's memory to the worker that made it. Do not use its bytes afterwards. */
  reuse({ bytes }: Pick<Pack, 'bytes'>): void {
    const memory = bytes.buffer as ArrayBuffer;
    const message: SpareMemoryMessage = { spareMemory: memory };
    this.#makers.get(memory)?.postMessage(message, [memory]);
  }

  /** Ends the workers; jobs still in flight are rejected. File descriptors may be closed afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Failure('interrupted', 'The worker threads were stopped.'));
    await this.#ended;
  }
}

/** Resolves when the worker has loaded its modules, or has failed to. */
function startOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['message', 'error', 'exit'] as const) worker.once(event, () => resolve());
  });
}
