import { Failure } from '../../failure.ts';

/** Whether the error says that the store has no file with that name. */
export function isMissingFile(error: unknown): boolean {
  return error instanceof Failure && error.code === 'target-missing';
}

/** Null if the store does not have the file that is read. */
export async function nullIfMissing<Content>(reading: Promise<Content>): Promise<Content | null> {
  try {
    return await reading;
  } catch (error) {
    if (isMissingFile(error)) return null;
    throw error;
  }
}
