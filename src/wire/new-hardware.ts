import type { OtherMachine } from '../placed-text.ts';
import { shellLine } from '../quote-for-shell.ts';

/** The new hardware, as the person at this machine reaches it. */
export function newHardware(
  { destination, sshConfigFile }: { destination: string; sshConfigFile: string | null },
  remoteCommand: string,
): OtherMachine {
  const config = sshConfigFile === null ? [] : ['-F', sshConfigFile];
  return {
    name: destination,
    ssh: shellLine(['ssh', ...config, destination]),
    vmferry: remoteCommand,
  };
}

/** The command that starts a receiver there. */
export function receiveCommand({ vmferry }: OtherMachine): string {
  return `${vmferry} receive`;
}
