import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { StartReport } from '../../operations/guests/start-guest.ts';
import type { Command } from '../options/command.ts';
import { allOption, bootOptions, readBootOptions, readGuests } from '../options/guest-options.ts';
import { flag } from '../options/options.ts';
import { processText } from '../texts/process-text.ts';
import { severalResult } from '../texts/several-text.ts';

export const startCommand: Command<GuestDependencies> = {
  usage: 'start [guests..]',
  summary: 'Start guests again with the settings they last ran with',
  define: (parser) =>
    parser
      .positional('guests', {
        type: 'string',
        array: true,
        describe:
          'Guests that vmferry knows (see vmferry guests), in this order; xen:web if two hypervisors have a guest web',
      })
      .options({
        ...allOption,
        ...bootOptions,
        'if-down': { type: 'boolean', describe: 'Succeed, and do nothing, if the guest runs already' },
      })
      .example('$0 start web', 'with the same memory, disks and kernel command line')
      .example('$0 start db web', 'one after the other: web when db is up')
      .example('$0 start --all', 'by name: all that ran when last seen, or were halted by vmferry')
      .example('$0 start web --boot-timeout 300', 'a guest that takes long to boot'),
  read: (args) => {
    const guests = readGuests(args);
    const request = { ...readBootOptions(args), ifDown: flag(args, 'if-down') };
    return async ({ dependencies, context }) => {
      if (guests?.length === 1) {
        const { startGuest } = await import('../../operations/guests/start-guest.ts');
        const report = await startGuest({ guest: guests[0] ?? '', ...request }, dependencies, context);
        return { record: report, text: startReportText(report), isSummary: true };
      }
      const { startGuests } = await import('../../operations/guests/several-guests.ts');
      const report = await startGuests(guests, request, dependencies, context);
      return severalResult(report, startReportText, 'No guest is down.');
    };
  },
};

export function startReportText({ guest, pid, consoleLog }: StartReport): string {
  return `${guest} runs${processText(pid)}. Console log: ${consoleLog}`;
}
