import { Failure } from '../failure.ts';

/** @param how the end of a sentence that begins with "The archive" */
export function damagedArchive(how: string, cause?: unknown): Failure {
  return new Failure('archive-damaged', `The archive ${how}.`, {
    advice:
      'It is damaged, cut off, or not made by vmferry export. Compare its checksum with that of the original.',
    cause,
  });
}
