import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { HaltReport } from '../../operations/guests/halt-guest.ts';
import type { Command } from '../options/command.ts';
import { allOption, haltOptions, readGuests, readHaltOptions } from '../options/guest-options.ts';
import { flag } from '../options/options.ts';
import { severalResult } from '../texts/several-text.ts';

export const haltCommand: Command<GuestDependencies> = {
  usage: 'halt [guests..]',
  aliases: ['stop', 'shutdown'],
  summary: 'Halt guests cleanly, and remember how to start them again',
  define: (parser) =>
    parser
      .positional('guests', {
        type: 'string',
        array: true,
        describe: 'Running guests, by name, in this order; xen:web if two hypervisors have a guest web',
      })
      .options({
        ...allOption,
        ...haltOptions,
        'if-running': { type: 'boolean', describe: 'Succeed, and do nothing, if the guest does not run' },
      })
      .example('$0 halt web', 'presses Ctrl-Alt-Del; if that fails: sync, remount read-only, halt')
      .example('$0 halt web mail db', 'one after the other; db last')
      .example('$0 halt --all', 'all guests here, in the reverse order of start --all')
      .example('$0 halt web --force-halt', 'kills it if nothing else works'),
  read: (args) => {
    const guests = readGuests(args);
    const request = { ...readHaltOptions(args), ifRunning: flag(args, 'if-running') };
    return async ({ dependencies, context }) => {
      if (guests?.length === 1) {
        const { haltGuest } = await import('../../operations/guests/halt-guest.ts');
        const report = await haltGuest({ guest: guests[0] ?? '', ...request }, dependencies, context);
        return { record: report, text: haltReportText(report), isSummary: true };
      }
      const { haltGuests } = await import('../../operations/guests/several-guests.ts');
      const report = await haltGuests(guests, request, dependencies, context);
      return severalResult(report, haltReportText, 'No guest runs here.');
    };
  },
};

export function haltReportText({ guest, notClean }: HaltReport): string {
  const state = notClean.length === 0 ? '' : `\nNot unmounted cleanly: ${notClean.join(', ')}`;
  return `${guest} is halted. To start it again: vmferry start ${guest}${state}`;
}
