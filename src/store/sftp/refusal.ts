import { Failure } from '../../failure.ts';

/** The status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, 7) that are used here. */
export const sftpStatus = { endOfFile: 1, noSuchFile: 2, permissionDenied: 3, failure: 4 } as const;

/** A server's refusal of one request; `status` is its SFTP status code. */
export class SftpRefusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'SftpRefusal';
    this.status = status;
  }
}

export function isNoSuchFile(error: unknown): boolean {
  return error instanceof SftpRefusal && error.status === sftpStatus.noSuchFile;
}

/** For `catch`: ignores a refusal, and throws any other error again. */
export function ignoreRefusal(error: unknown): void {
  if (!(error instanceof SftpRefusal)) throw error;
}

/** An error without a status is ssh2's own: the channel is gone, and the server did not answer. */
export function asRefusal(error: Error): Error {
  const status: unknown = (error as { code?: unknown }).code;
  if (typeof status === 'number') return new SftpRefusal(status, error.message);
  return new Failure('connection-lost', `The SFTP server did not answer: ${error.message}.`, {
    transient: true,
    cause: error,
  });
}

export function sessionOver(hostName: string, cause?: Error): Failure {
  return new Failure(
    'connection-lost',
    `The SFTP session with ${hostName} ended${cause === undefined ? '' : `: ${cause.message}`}.`,
    { transient: true, cause },
  );
}
