/** Disposes of resources, the last one first. Node 20 has no AsyncDisposableStack. */
export class Resources implements AsyncDisposable {
  #held: (Disposable | AsyncDisposable)[] = [];

  hold<Resource extends Disposable | AsyncDisposable>(resource: Resource): Resource {
    this.#held.push(resource);
    return resource;
  }

  /** Moves all resources to a new owner, which is returned. */
  release(): Resources {
    const heir = new Resources();
    heir.#held = this.#held;
    this.#held = [];
    return heir;
  }

  /** Disposes of all, even when some fail; then throws the first error. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let resource = this.#held.pop(); resource !== undefined; resource = this.#held.pop()) {
      try {
        if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
        else resource[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
