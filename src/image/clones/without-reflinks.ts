import { errorCode } from '../../system/error-code.ts';

/** The errors of ioctl_ficlonerange(2) on file systems without reflinks. */
const codes = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOTTY', 'EXDEV', 'EINVAL', 'ENOSYS']);

/** Whether the error of a clone says that the file system has no reflinks. */
export function saysWithoutReflinks(error: unknown): boolean {
  return codes.has(errorCode(error));
}
