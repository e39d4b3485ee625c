import { quoteForShell, shellLine } from '../../quote-for-shell.ts';

/*
 * Scripts for a machine that has sh, bunzip2, dd, sha256sum and the usual small programs of POSIX. Every path is absolute, and quoted.
 */

/** What the other machine needs. */
export const neededPrograms = ['bunzip2', 'dd', 'sha256sum'] as const;

/** Prints a line for everything that would keep the disks from being written there, and `sparse` if its dd can leave holes. */
export function lookScript(directory: string, paths: readonly string[]): string {
  const place = quoteForShell(directory);
  return [
    `for p in ${neededPrograms.join(' ')}; do command -v "$p" >/dev/null 2>&1 || echo "no-program $p"; done`,
    `if [ ! -d ${place} ]; then echo no-directory; elif [ ! -w ${place} ]; then echo not-writable; fi`,
    // Without hard links, nothing could get its name without the danger of replacing a file.
    `t=${place}/.vmferry-$$; if [ -d ${place} ] && (set -C; : > "$t") 2>/dev/null; then ln -- "$t" "$t.link" 2>/dev/null || echo no-links; rm -f -- "$t" "$t.link"; fi`,
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
  /** Whether the directory's file system has hard links. */
  hasLinks: boolean;
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
    hasLinks: !lines.includes('no-links'),
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

export interface NamedFile {
  partial: string;
  /** The name that it is to have. */
  path: string;
}

/** Gives the files their names, durably. They keep their partial names, too. Fails if a name is taken: a link never replaces a file. */
export function publishScript(files: readonly NamedFile[]): string {
  const links = files.map(({ partial, path }) => shellLine(['ln', '--', partial, path]));
  return ['set -e', ...links, 'sync'].join('\n');
}

/** Ends the partial names of files that have got their names. */
export function settleScript(files: readonly NamedFile[]): string {
  return shellLine(['rm', '-f', '--', ...files.map(({ partial }) => partial)]);
}

/** Removes the files under both names. A file of somebody else that has such a name stays. */
export function removeScript(files: readonly NamedFile[]): string {
  return files
    .map(({ partial, path }) => {
      const [p, f] = [quoteForShell(partial), quoteForShell(path)];
      return `if [ ${f} -ef ${p} ]; then rm -f -- ${f}; fi; rm -f -- ${p}`;
    })
    .join('\n');
}
