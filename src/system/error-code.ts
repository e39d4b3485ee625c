/**
 * The code of a system call's error (`ENOENT`, …); an empty string for anything else. Checks the shape, not the class: an error of
 * a Node module may be an instance of another `Error` class than the one known here.
 */
export function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** The message of an error. It checks the shape, too. */
export function errorMessage(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error
    ? String(error.message)
    : String(error);
}
