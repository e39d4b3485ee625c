import type { BackupStore, PutOptions } from './store.ts';

/** What is told when a store is waited for, and when it does something. */
export interface StoreWatch {
  /** The store is waited for until the answer is disposed of. */
  waiting: () => Disposable;
  progressed: () => void;
}

/** The same store; all that waits for it is told, and each sign that it goes on. */
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

/** What is done with a piece before the next is asked for is no wait for the store. */
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
