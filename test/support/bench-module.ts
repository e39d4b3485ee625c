/** A module of the bench, which is plain JavaScript: what is asked of it is told by the type. */
export async function benchModule<Exports>(name: string): Promise<Exports> {
  return (await import(new URL(`../bench/${name}`, import.meta.url).href)) as Exports;
}
