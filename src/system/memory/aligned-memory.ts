/** Node has it, but the type libraries used here do not. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared?: boolean }) => {
    buffer: ArrayBuffer | SharedArrayBuffer;
  };
};

const PAGE_BYTES = 65536;

/*
 * Memory at an address that O_DIRECT accepts: WebAssembly memory begins at a page, which no Buffer of Node's does. It has at
 * least the size that is asked for, and holds zeros.
 */

export function alignedMemory(sizeBytes: number): ArrayBuffer {
  const pages = Math.ceil(sizeBytes / PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer as ArrayBuffer;
}

/** The same, shared between threads. */
export function alignedSharedMemory(sizeBytes: number): SharedArrayBuffer {
  const pages = Math.ceil(sizeBytes / PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer as SharedArrayBuffer;
}
