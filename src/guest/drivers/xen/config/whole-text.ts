import { Failure } from '../../../../failure.ts';
import type { GuestDefinition } from '../../../definition.ts';
import { xenConfigOf } from './rewrite.ts';
import { inexpressible } from './write.ts';

/** The file for xl, which ends with a newline. Throws Failure `guest-unsupported` for what xl has no word for. */
export function writeXenText(definition: GuestDefinition): string {
  const [first, ...others] = inexpressible(definition);
  if (first !== undefined) throw new Failure('guest-unsupported', [first, ...others].join(' '));
  const text = xenConfigOf(definition);
  return text.endsWith('\n') ? text : `${text}\n`;
}
