import type { BackupStore, PutOptions } from './store.ts';

/** Callbacks for waiting for a store, and for its progress. */
export interface StoreWatch {
  /** A wait begins; it ends when the result is disposed. */
  waiting: () => Disposable;
  progressed: () => void;
}

/** The same store, which reports to `watch` every wait and every sign of progress. */
export function watchedStore(store: BackupStore, watch: StoreWatch): BackupStore {
  const waited = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    using _ = watch.waiting();
    return await work();
  };
  return {
    location: store.location,
    shortcomings: store.shortcomings,
    put: (name, parts, options) => waited(() => store.put(name, parts, tellingOfBytes(options, watch))),
    get: (name, signal, range) => eachWaited(store.get(name, signal, range), watch),
    remove: (name, signal) => waited(() => store.remove(name, signal)),
    list: (folder, signal, which, onSome) =>
      waited(() =>
        store.list(folder, signal, which, () => {
          watch.progressed();
          onSome?.();
        }),
      ),
    rename: (from, to, signal) => waited(() => store.rename(from, to, signal)),
    removeFolder: (folder, signal) => waited(() => store.removeFolder(folder, signal)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function tellingOfBytes(options: PutOptions, { progressed }: StoreWatch): PutOptions {
  return {
    ...options,
    onWritten: (bytes) => {
      progressed();
      options.onWritten?.(bytes);
    },
  };
}

/** The time between two pieces, which the consumer uses, does not count as waiting for the store. */
async function* eachWaited<Piece>(
  pieces: AsyncIterable<Piece>,
  { waiting }: StoreWatch,
): AsyncGenerator<Piece> {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const wait = waiting();
      const next = await iterator.next().finally(() => wait[Symbol.dispose]());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
