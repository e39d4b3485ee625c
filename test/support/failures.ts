import { Failure, type FailureCode } from '../../src/failure.ts';

/** The Failure that the work ends with; anything else is an error. */
export async function failureOf(work: () => unknown): Promise<Failure> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** Its code. */
export async function codeOf(work: () => unknown): Promise<FailureCode> {
  return (await failureOf(work)).code;
}
