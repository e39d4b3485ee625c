/**
 * Applies `work` to up to `width` items at a time, and yields the results in the order of the items. A result is
 * yielded as soon as it is ready, even while the source has no further item. The first failure, of the source or of the
 * work, is thrown when all work in flight has settled. When the consumer stops early, the source is closed, and no
 * further work begins. A source that is busy with its next item is told to close, but is not waited for: a silent
 * source must not delay a failure.
 */
export async function* mapOrdered<In, Out>(
  source: AsyncIterable<In> | Iterable<In>,
  width: number,
  work: (item: In) => Promise<Out>,
): AsyncGenerator<Out, void, undefined> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const inFlight: Promise<Out>[] = [];
  let next: Promise<IteratorResult<In, unknown>> | null = null;
  let isExhausted = false;
  try {
    while (true) {
      if (!isExhausted && inFlight.length < width) next ??= quietly(Promise.resolve(items.next()));
      const [oldest] = inFlight;
      if (oldest === undefined && next === null) return;
      const arrived = await firstOf(oldest, next);
      if (arrived === 'result') {
        yield await (inFlight.shift() as Promise<Out>);
        continue;
      }
      const item = await (next as Promise<IteratorResult<In, unknown>>);
      next = null;
      if (item.done === true) isExhausted = true;
      else inFlight.push(quietly(work(item.value)));
    }
  } finally {
    await Promise.allSettled(inFlight);
    if (!isExhausted) await close(items, next !== null);
  }
}

/** Ignores the errors of closing, so that they do not replace an earlier error. */
async function close(items: AsyncIterator<unknown> | Iterator<unknown>, isAtWork: boolean): Promise<void> {
  const closed = quietly((async () => items.return?.())());
  if (!isAtWork) await closed.catch(() => undefined);
}

/** Returns the promise that settles first. On a tie it is the result, so that results never wait. */
async function firstOf(
  result: Promise<unknown> | undefined,
  next: Promise<unknown> | null,
): Promise<'result' | 'item'> {
  const settled: Promise<'result' | 'item'>[] = [];
  if (result !== undefined)
    settled.push(
      result.then(
        () => 'result',
        () => 'result',
      ),
    );
  if (next !== null)
    settled.push(
      next.then(
        () => 'item',
        () => 'item',
      ),
    );
  return Promise.race(settled);
}

/** Keeps a rejection from being reported as unhandled before it is awaited. Awaiting it still throws. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
