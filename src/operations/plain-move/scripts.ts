import { quoteForShell, shellLine } from '../../quote-for-shell.ts';

/*
 * Scripts for a machine that has only POSIX sh, bunzip2, dd and sha256sum. Every path is absolute, and quoted.
 */

/** What the other machine needs. */
export const neededPrograms = ['bunzip2', 'dd', 'sha256sum'] as const;

/** Prints a line for everything that would keep the disks from being written there, and `sparse` if its dd can leave holes. */
export function lookScript(directory: string, paths: readonly string[]): string {
  const place = quoteForShell(directory);
  return [
    `for p in ${neededPrograms.join(' ')}; do command -v "$p" >/dev/null 2>&1 || echo "no-program $p"; done`,
    `if [ ! -d ${place} ]; then echo no-directory; elif [ ! -w ${place} ]; then echo not-writable; fi`,
    `for f in ${shellLine(paths)}; do if [ -e "$f" ] || [ -L "$f" ]; then echo "taken $f"; fi; done`,
    'if dd if=/dev/null of=/dev/null conv=sparse 2>/dev/null; then echo sparse; fi',
    `set -- $(df -Pk ${place} 2>/dev/null | tail -n 1); [ -n "$4" ] && echo "kilobytes $4"`,
    'exit 0',
  ].join('\n');
}

export interface Look {
  missingPrograms: readonly string[];
  directory: 'there' | 'missing' | 'not-writable';
  taken: readonly string[];
  isSparse: boolean;
  /** Null if it did not say. */
  freeBytes: number | null;
}

/** What `lookScript` has printed. */
export function parseLook(printed: string): Look {
  const lines = printed.split('\n');
  const after = (word: string) =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  const [kilobytes = ''] = after('kilobytes');
  return {
    missingPrograms: after('no-program'),
    directory: lines.includes('no-directory')
      ? 'missing'
      : lines.includes('not-writable')
        ? 'not-writable'
        : 'there',
    taken: after('taken'),
    isSparse: lines.includes('sparse'),
    freeBytes: /^[0-9]{1,12}$/.test(kilobytes) ? 1024 * Number(kilobytes) : null,
  };
}

/** Unpacks standard input to a new file that only its owner may read. It must not exist. */
export function writeScript(partial: string, isSparse: boolean): string {
  const conversions = ['notrunc', 'fsync', ...(isSparse ? ['sparse'] : [])].join(',');
  const place = quoteForShell(partial);
  return [
    // The shell itself makes the file, and with -C refuses one that exists.
    `set -eC; umask 077; : > ${place}`,
    // POSIX sh has the exit status of the last program alone.
    `failed=$({ { bunzip2 -c || echo yes >&3; } | dd of=${place} ibs=65536 obs=65536 conv=${conversions}; } 3>&1)`,
    '[ -z "$failed" ]',
  ].join('\n');
}

/** Prints the SHA-256 of the file, which is read from the disk where dd can have it dropped from the page cache. */
export function sumScript(partial: string): string {
  const place = quoteForShell(partial);
  return `dd if=${place} iflag=nocache count=0 2>/dev/null || :\nsha256sum < ${place}`;
}

/** The SHA-256 that `sumScript` has printed, in hexadecimal; null if it is none. */
export function parseSum(printed: string): string | null {
  return /^([0-9a-f]{64})\s/.exec(printed)?.[1] ?? null;
}

/** Gives the file its name. Fails if the name is taken: a link never replaces a file. */
export function publishScript(partial: string, path: string): string {
  return `set -e; ${shellLine(['ln', '--', partial, path])}; ${shellLine(['rm', '-f', '--', partial])}; sync`;
}

export function removeScript(paths: readonly string[]): string {
  return shellLine(['rm', '-f', '--', ...paths]);
}
