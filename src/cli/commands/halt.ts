import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { HaltReport } from '../../operations/guests/halt-guest.ts';
import type { Command } from '../options/command.ts';
import { text } from '../options/options.ts';
import { haltOptions, readHaltOptions } from '../options/guest-options.ts';

export const haltCommand: Command<GuestDependencies> = {
  usage: 'halt <guest>',
  aliases: ['stop', 'shutdown'],
  summary: 'Halt a guest cleanly, and remember how to start it again',
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A running guest, by its name' })
      .options(haltOptions)
      .example('$0 halt web', 'presses Ctrl-Alt-Del; if that fails: sync, remount read-only, halt')
      .example('$0 halt web --force-halt', 'kills it if nothing else works'),
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
  const state = notClean.length === 0 ? '' : `\nNot unmounted cleanly: ${notClean.join(', ')}`;
  return `${guest} is halted. To start it again: vmferry start ${guest}${state}`;
}
