import type { MoveServiceReport } from '../../operations/moves/move-service.ts';
import { formatTime } from '../../figures.ts';
import { quoteForShell } from '../../quote-for-shell.ts';

export function moveServiceText({
  guest,
  destination,
  cutoverAt,
  unit,
  file,
  isSystem,
  giveUp,
}: MoveServiceReport): string {
  const user = isSystem ? '' : ' --user';
  const [shell, name] = [quoteForShell(unit), quoteForShell(guest)];
  return [
    `A service of this machine moves ${guest} to ${destination}. After a reboot it goes on: ${file}`,
    `To see how far it is: vmferry migrations; journalctl${user} -fu ${shell}`,
    ...(cutoverAt === null ? [] : [`${guest} is halted at ${formatTime(cutoverAt)}.`]),
    `To halt it and move it at once: vmferry cutover ${name}`,
    `To give it up: systemctl${user} disable --now ${shell}. What was copied then stays there until: ${giveUp}`,
    ...(isSystem ? [] : ['To have it go on also while you are not logged in: loginctl enable-linger']),
  ].join('\n');
}
