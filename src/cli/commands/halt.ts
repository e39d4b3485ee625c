import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { HaltReport } from '../../operations/guests/halt-guest.ts';
import type { Command } from '../options/command.ts';
import { text } from '../options/options.ts';
import { haltOptions, readHaltOptions } from '../options/guest-options.ts';

export const haltCommand: Command<GuestDependencies> = {
  usage: 'halt <guest>',
  aliases: ['stop', 'shutdown'],
  summary: 'Halt a guest in an orderly way, and remember how it ran',
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A running guest, by its name' })
      .options(haltOptions)
      .example('$0 halt web', 'as Ctrl-Alt-Del on its console; then sync, remount read-only and halt')
      .example('$0 halt web --force-halt', 'kill it if it does none of these'),
  read: (args) => {
    const request = { guest: text(args, 'guest'), ...readHaltOptions(args) };
    return async ({ dependencies, context }) => {
      const { haltGuest } = await import('../../operations/guests/halt-guest.ts');
      const report = await haltGuest(request, dependencies, context);
      return { record: report, text: haltReportText(report), isSummary: true };
    };
  },
};

export function haltReportText({ guest, notClean }: HaltReport): string {
  const state = notClean.length === 0 ? '' : `\nNot unmounted in an orderly way: ${notClean.join(', ')}`;
  return `${guest} is halted. To start it again as it was: vmferry start ${guest}${state}`;
}
