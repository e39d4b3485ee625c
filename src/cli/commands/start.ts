import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { StartReport } from '../../operations/guests/start-guest.ts';
import type { Command } from '../options/command.ts';
import { text } from '../options/options.ts';
import { bootOptions, readBootOptions } from '../options/guest-options.ts';
import { processText } from '../texts/process-text.ts';

export const startCommand: Command<GuestDependencies> = {
  usage: 'start <guest>',
  summary: 'Start a guest again with the settings it last ran with',
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A guest that vmferry knows: see vmferry guests' })
      .options(bootOptions)
      .example('$0 start web', 'with the same memory, disks and kernel command line')
      .example('$0 start web --boot-timeout 300', 'a guest that takes long to boot'),
  read: (args) => {
    const request = { guest: text(args, 'guest'), ...readBootOptions(args) };
    return async ({ dependencies, context }) => {
      const { startGuest } = await import('../../operations/guests/start-guest.ts');
      const report = await startGuest(request, dependencies, context);
      return { record: report, text: startReportText(report), isSummary: true };
    };
  },
};

export function startReportText({ guest, pid, consoleLog }: StartReport): string {
  return `${guest} runs${processText(pid)}. Console log: ${consoleLog}`;
}
