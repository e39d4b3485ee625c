import type { MoveServiceReport } from '../../operations/moves/move-service.ts';
import { quoteForShell } from '../../quote-for-shell.ts';

export function moveServiceText({ guest, destination, unit, file, isSystem }: MoveServiceReport): string {
  const user = isSystem ? '' : ' --user';
  const [shell, name] = [quoteForShell(unit), quoteForShell(guest)];
  return [
    `A service of this machine moves ${guest} to ${destination}. After a reboot it goes on: ${file}`,
    `To see how far it is: vmferry migrations; journalctl${user} -fu ${shell}`,
    `To halt ${guest} and move it now: vmferry cutover ${name}`,
    `To give it up: systemctl${user} disable --now ${shell}`,
    ...(isSystem ? [] : ['To have it go on also while you are not logged in: loginctl enable-linger']),
  ].join('\n');
}
