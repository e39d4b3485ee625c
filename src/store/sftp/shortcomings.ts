import type { SftpExtension } from './extensions.ts';

/** What a server that lacks extensions of OpenSSH's cannot promise to a store of backups, as sentences for people. */
export function shortcomingsWithout(
  offers: (extension: SftpExtension) => boolean,
  hostName: string,
): string[] {
  const sentences: string[] = [];
  if (!offers('fsync@openssh.com'))
    sentences.push(
      `The SFTP server of ${hostName} cannot be told to write files through to its disk: if that machine loses ` +
        'power, what was sent in the minutes before can be lost or damaged, though it was acknowledged.',
    );
  if (!offers('posix-rename@openssh.com'))
    sentences.push(
      `The SFTP server of ${hostName} cannot replace a file in one step: if the line or that machine fails while a ` +
        'damaged file is replaced, the file is missing until it is sent again.',
    );
  return sentences;
}
