import type { OtherMachine } from '../../../placed-text.ts';
import { shellLine } from '../../../quote-for-shell.ts';

/** The command that gives up incomplete images on the new hardware. @param paths their own, with `.partial` */
export function giveUpCommand(paths: readonly string[], { ssh }: OtherMachine): string {
  const files = paths.flatMap((path) => [path, `${path}.vmferry`]);
  return `${ssh} ${shellLine(['rm', '-f', ...files])}`;
}
