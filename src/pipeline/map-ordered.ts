/**
 * Applies `work` to up to `width` items at a time and yields the results in the order of the items, each as soon as
 * it is there (also while the source has no further item yet). The first failure, of the source or of the work, ends
 * it, after the work still in flight has settled. When the consumer stops early, the source is closed and no further
 * work begins. A source that is still at work on its next item then is told to close, but not waited for: a silent
 * one must not hold back a failure.
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

/** What goes wrong in closing a source does not take the place of what went wrong before. */
async function close(items: AsyncIterator<unknown> | Iterator<unknown>, isAtWork: boolean): Promise<void> {
  const closed = quietly((async () => items.return?.())());
  if (!isAtWork) await closed.catch(() => undefined);
}

/** Which of the two settles first; a tie goes to the result, so that results never wait. */
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

/** Keeps a rejection that nobody awaits yet from being reported as unhandled; it is still seen when awaited. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
