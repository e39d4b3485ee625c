import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { KnownChunks } from '../../../src/chunk/known-chunks.ts';

const moduleUrl = new URL('../../../dist/chunk/known-chunks.js', import.meta.url);
const THREADS = 4;
const IDS = 60_000;
const OWN_IDS = 5_000;

/** Adds the same ids as all threads, in another order, and some ids of its own. Returns those that were new. */
const script = `
  import { createHash } from 'node:crypto';
  import { workerData, parentPort } from 'node:worker_threads';
  import { KnownChunks } from '${moduleUrl.href}';
  const { shared, start, thread, threads, ids, ownIds } = workerData;
  const idOf = (name) => createHash('sha256').update(name).digest();
  const own = Array.from({ length: ownIds }, (_, number) => idOf('own ' + thread + ' ' + number));
  const common = Array.from({ length: ids }, (_, number) => idOf('common ' + number));
  const known = KnownChunks.over(shared);
  Atomics.add(start, 0, 1);
  while (Atomics.load(start, 0) < threads) {}
  const fresh = [];
  let lost = 0;
  for (let step = 0; step < ids; step++) {
    const number = (step + Math.floor((thread % 2) * ids / 7)) % ids;
    if (known.add(common[number])) fresh.push(number);
    if (!known.has(common[number])) lost++;
    if (step % 12 === 0 && step / 12 < ownIds && !known.add(own[step / 12])) lost++;
  }
  for (const id of [...own, ...common]) if (!known.has(id)) lost++;
  parentPort.postMessage({ fresh, lost });
`;

test('several threads add to the same set: no id is lost, and no other id is known', async () => {
  const known = KnownChunks.withRoomFor(IDS + THREADS * OWN_IDS);
  const start = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from(
    { length: THREADS },
    (_, thread) =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
        workerData: { shared: known.shared, start, thread, threads: THREADS, ids: IDS, ownIds: OWN_IDS },
      }),
  );
  const answers = (await Promise.all(workers.map(async (worker) => once(worker, 'message')))).map(
    ([answer]) => answer as { fresh: number[]; lost: number },
  );
  await Promise.all(workers.map((worker) => worker.terminate()));

  expect(answers.map(({ lost }) => lost)).toEqual([0, 0, 0, 0]);
  const fresh = answers.flatMap((answer) => answer.fresh);
  expect(new Set(fresh).size).toBe(IDS);
  // The same id is new to two threads only if both add it at the same moment.
  expect(fresh.length).toBeLessThan(IDS * 1.01);
  for (let number = 0; number < 10_000; number++)
    expect(known.has(chunkId(Buffer.from(`never added ${number}`)))).toBe(false);
});
