/**
 * The code of a system call's error (`ENOENT`, …); an empty string for anything else. By its shape: an error of
 * Node's own modules need not be an instance of the `Error` that is known here.
 */
export function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** What an error says, by its shape, too. */
export function errorMessage(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error
    ? String(error.message)
    : String(error);
}
