import { Failure } from '../../../failure.ts';
import type { FormattedImage } from '../../../image/formats/image-format.ts';

/** What is thrown for an image whose tables are damaged. */
const codes: ReadonlySet<string> = new Set(['read-failed', 'image-unsupported', 'image-not-a-disk']);

/** Whether the error may come of tables that the image's hypervisor was changing: another pass reads them anew. */
export function mayBeTorn({ format = 'raw' }: FormattedImage, error: unknown): error is Failure {
  return format !== 'raw' && error instanceof Failure && codes.has(error.code);
}
