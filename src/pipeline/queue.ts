/** Passes items from a writer to a reader, in order. Use it for few and small items: it has no limit. */
export class Queue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | null = null;
  #end: { error: Error | null } | null = null;

  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  /** Ends the queue. The reader first gets the items left. An error comes at once instead. */
  end(error: Error | null = null): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    while (true) {
      if (this.#end?.error) throw this.#end.error;
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#end !== null) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
