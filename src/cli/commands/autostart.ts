import process from 'node:process';
import type { AutostartReport } from '../../operations/autostart/autostart.ts';
import type { GuestDependencies } from '../../operations/guests/guests.ts';
import { quoteForShell } from '../../quote-for-shell.ts';
import type { Command } from '../options/command.ts';
import {
  bootOptions,
  haltOptions,
  readBootOptions,
  readHaltOptions,
  readNamedGuests,
} from '../options/guest-options.ts';
import { flag } from '../options/options.ts';
import { severalResult } from '../texts/several-text.ts';

export const autostartCommand: Command<GuestDependencies> = {
  usage: 'autostart [guests..]',
  summary: 'Start guests with the machine, and halt them in order when the machine is shut down',
  define: (parser) =>
    parser
      .positional('guests', {
        type: 'string',
        array: true,
        describe:
          'Guests that run or that vmferry knows, started in this order, and halted in the reverse one; xen:web if two hypervisors have a guest web',
      })
      .options({
        off: { type: 'boolean', describe: 'Do not start it with the machine; if it runs, it runs on' },
        ...bootOptions,
        'halt-timeout': haltOptions['halt-timeout'],
        system: { type: 'boolean', describe: 'Use the system’s systemd (the default for root)' },
        user: {
          type: 'boolean',
          conflicts: 'system',
          describe: 'Use this account’s systemd (the default for others)',
        },
      })
      .example('$0 autostart web', 'User Mode Linux and QEMU: a systemd unit; libvirt and Xen: their own way')
      .example('$0 autostart db web', 'web when db is up; at a shutdown, db when web is down')
      .example('$0 autostart web --halt-timeout 300', 'a guest that takes long to halt')
      .example('$0 autostart web --off', 'start it only by hand again')
      .example('$0 guests', 'shows which guests start with the machine'),
  read: (args) => {
    const isSystem = flag(args, 'system') || (!flag(args, 'user') && process.getuid?.() === 0);
    const guests = readNamedGuests(args);
    const request = {
      isOn: !flag(args, 'off'),
      isSystem,
      bootTimeoutMs: readBootOptions(args).bootTimeoutMs,
      haltTimeoutMs: readHaltOptions(args).haltTimeoutMs,
    };
    return async ({ dependencies, context }) => {
      const { scheduleWorld } = await import('../../operations/schedule/units.ts');
      const world = scheduleWorld(isSystem, process.env);
      if (guests.length === 1) {
        const { setAutostart } = await import('../../operations/autostart/autostart.ts');
        const single = { ...request, guest: guests[0] ?? '', after: [] };
        const report = await setAutostart(single, dependencies, world, context);
        return { record: report, text: autostartReportText(report), isSummary: true };
      }
      const { setAutostarts } = await import('../../operations/guests/several-guests.ts');
      const report = await setAutostarts(guests, request, dependencies, world, context);
      return severalResult(report, autostartReportText, '');
    };
  },
};

export function autostartReportText({ guest, autostart, unit, file, isSystem }: AutostartReport): string {
  if (!autostart)
    return `${guest} does not start with the machine.${file === null ? '' : ` Removed: ${file}`}`;
  if (unit === null) return `${guest} starts with the machine.`;
  const systemctl = isSystem ? 'systemctl' : 'systemctl --user';
  const shell = quoteForShell(unit);
  return [
    `${guest} starts with the machine, and is halted with it: ${file}`,
    `To start or halt it by hand: ${systemctl} restart ${shell}; ${systemctl} stop ${shell}`,
    ...(isSystem ? [] : ['To start it also while you are not logged in: loginctl enable-linger']),
  ].join('\n');
}
