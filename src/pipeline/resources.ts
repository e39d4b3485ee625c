/** Things to dispose of, last first; Node 20 has no AsyncDisposableStack yet. */
export class Resources implements AsyncDisposable {
  #held: (Disposable | AsyncDisposable)[] = [];

  hold<Resource extends Disposable | AsyncDisposable>(resource: Resource): Resource {
    this.#held.push(resource);
    return resource;
  }

  /** Hands everything over: this one then disposes of nothing. */
  release(): Resources {
    const heir = new Resources();
    heir.#held = this.#held;
    this.#held = [];
    return heir;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let resource = this.#held.pop(); resource !== undefined; resource = this.#held.pop()) {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    }
  }
}
