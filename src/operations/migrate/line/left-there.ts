import { incompleteFiles } from '../../../image/target/partial-claim.ts';
import type { OtherMachine } from '../../../placed-text.ts';
import { shellLine } from '../../../quote-for-shell.ts';

/** The command that gives up incomplete images on the new hardware. @param finalPaths without `.partial` */
export function giveUpCommand(finalPaths: readonly string[], { ssh }: OtherMachine): string {
  return `${ssh} ${shellLine(['rm', '-f', ...finalPaths.flatMap(incompleteFiles)])}`;
}
