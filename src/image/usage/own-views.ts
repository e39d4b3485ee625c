/*
 * The image files that a program of ours has open and locked. A lock of an open file description names no process, so it
 * cannot be told from that of a guest.
 */

interface FileIdentity {
  dev: number | bigint;
  ino: number | bigint;
}

const viewed = new Map<string, number>();

function keyOf({ dev, ino }: FileIdentity): string {
  return `${dev}:${ino}`;
}

/** Notes that these files are open and locked by a program of ours, until the result is disposed of. */
export function noteOwnView(files: readonly FileIdentity[]): Disposable {
  const keys = files.map(keyOf);
  for (const key of keys) viewed.set(key, (viewed.get(key) ?? 0) + 1);
  return {
    [Symbol.dispose]() {
      for (const key of keys.splice(0)) {
        const left = (viewed.get(key) ?? 1) - 1;
        if (left === 0) viewed.delete(key);
        else viewed.set(key, left);
      }
    },
  };
}

export function isInOwnView(file: FileIdentity): boolean {
  return viewed.has(keyOf(file));
}
