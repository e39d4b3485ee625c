import { damagedArchive } from '../codec/damaged-archive.ts';

/** The member that has the SHA-256 of all others, as `sha256sum` prints them. */
export const CHECKSUMS_NAME = 'SHA256SUMS';
export const LONGEST_CHECKSUMS_BYTES = 2 ** 20;

/** @param sums hexadecimal, by name */
export function checksumsText(sums: ReadonlyMap<string, string>): string {
  return [...sums].map(([name, sum]) => checksumLine(name, sum)).join('');
}

/** A name with a backslash is escaped, which a backslash at the beginning of the line says (sha256sum). */
function checksumLine(name: string, sum: string): string {
  return name.includes('\\') ? `\\${sum}  ${name.replaceAll('\\', '\\\\')}\n` : `${sum}  ${name}\n`;
}

/** The SHA-256 of each file, by its name. Throws Failure `archive-damaged` for anything but the output of `sha256sum`. */
export function parseChecksums(text: string): Map<string, string> {
  const sums = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, mark = '', sum = '', written = ''] = /^(\\?)([0-9a-fA-F]{64}) [ *](.+)$/.exec(line) ?? [];
    const name = (mark === '' ? written : written.replaceAll('\\\\', '\\')).replace(/^(\.\/)+/, '');
    if (sum === '' || sums.has(name))
      throw damagedArchive(`has a line in ${CHECKSUMS_NAME} that is not valid`);
    sums.set(name, sum.toLowerCase());
  }
  return sums;
}
