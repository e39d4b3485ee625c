import type { SFTPWrapper } from 'ssh2';

/** Extensions of OpenSSH's PROTOCOL document (4.3 and following), with the versions that vmferry uses. */
const versions = {
  'posix-rename@openssh.com': '1',
  'statvfs@openssh.com': '2',
  'fsync@openssh.com': '1',
  'limits@openssh.com': '1',
  'hardlink@openssh.com': '1',
} as const;
export type SftpExtension = keyof typeof versions;

/** The size of a read or write that every server must accept (filexfer-02, 3), and the largest that OpenSSH accepts. */
const MODEST_RUN_BYTES = 32_768;
const LARGEST_RUN_BYTES = 261_120;

/** What a server offers beyond version 3 of the protocol, and its limits. */
export interface SftpOffers {
  extensions: ReadonlySet<SftpExtension>;
  maxReadBytes: number;
  maxWriteBytes: number;
}

/** What ssh2 knows about the server but does not make public. */
interface SftpInsides {
  _extensions?: Record<string, string>;
  _maxReadLen?: number;
  _maxWriteLen?: number;
}

export function readOffers(sftp: SFTPWrapper): SftpOffers {
  const { _extensions: offered = {}, _maxReadLen, _maxWriteLen } = sftp as unknown as SftpInsides;
  const names = Object.keys(versions) as SftpExtension[];
  const extensions = new Set(names.filter((name) => offered[name] === versions[name]));
  const limited = extensions.has('limits@openssh.com');
  return {
    extensions,
    maxReadBytes: runBytes(limited ? _maxReadLen : undefined),
    maxWriteBytes: runBytes(limited ? _maxWriteLen : undefined),
  };
}

function runBytes(limit: number | undefined): number {
  if (limit === undefined || limit <= 0) return MODEST_RUN_BYTES;
  return Math.min(limit, LARGEST_RUN_BYTES);
}
