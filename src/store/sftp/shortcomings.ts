import type { SftpExtension } from './extensions.ts';

/** What a server without some of OpenSSH's extensions cannot promise, as sentences for the user. */
export function shortcomingsWithout(
  offers: (extension: SftpExtension) => boolean,
  hostName: string,
): string[] {
  const sentences: string[] = [];
  if (!offers('fsync@openssh.com'))
    sentences.push(
      `The SFTP server of ${hostName} does not offer to write files through to its disk: if that machine loses ` +
        'power, data that it acknowledged in the minutes before can be lost or damaged.',
    );
  if (!offers('posix-rename@openssh.com'))
    sentences.push(
      `The SFTP server of ${hostName} cannot replace a file in one step: if the connection or that machine fails while ` +
        'a damaged file is replaced, the file is missing until it is sent again.',
    );
  return sentences;
}
