import process from 'node:process';
import type { GuestSummary } from '../../operations/guests/guests.ts';
import type { GuestDependencies } from '../../operations/guests/guests.ts';
import { quoteForShell } from '../../quote-for-shell.ts';
import type { Command } from '../options/command.ts';
import { formatBytes } from '../../figures.ts';
import { formatDuration, formatTable } from '../terminal/format.ts';
import { optionalText } from '../options/options.ts';

export const guestsCommand: Command<GuestDependencies> = {
  usage: 'guests',
  summary: 'List the guests of all hypervisors here, and those that vmferry halted or moved away',
  define: (parser) =>
    parser
      .options({
        forget: {
          type: 'string',
          requiresArg: true,
          describe: 'Forget a guest whose image is gone from this machine; its backups stay',
        },
      })
      .example('$0 guests', 'name, state, memory, CPU time, images and space in use')
      .example('$0 guests --json', 'the same as JSON, in bytes and seconds')
      .example('$0 guests --forget old-web', 'remove it from the list: its image is gone'),
  read: (args) => {
    const forgotten = optionalText(args, 'forget');
    return async ({ dependencies, context }) => {
      if (forgotten !== null) {
        const { forgetRecord } = await import('../../operations/guests/forget-record.ts');
        const record = await forgetRecord(forgotten, dependencies, context);
        return { record, text: `Forgot ${record.guest} on this machine.` };
      }
      const { listGuests } = await import('../../operations/guests/guests.ts');
      const { startedByUnit } = await import('../../operations/autostart/guest-units.ts');
      const guests = await listGuests(dependencies, context, (guest) => startedByUnit(guest, process.env));
      return { record: { type: 'guests', guests }, text: guestsText(guests) };
    };
  },
};

/** Paths are long, so they come last: a narrow terminal breaks only them. */
const heading = [
  'name',
  'driver',
  'state',
  'pid',
  'memory',
  'CPU time',
  'autostart',
  'size',
  'in use',
  'image',
];
const AUTOSTART = 6;
const numbers = [3, 4, 5, 7, 8];

export function guestsText(guests: readonly GuestSummary[]): string {
  if (guests.length === 0) return 'No guests found. Only root sees the guests of other accounts.';
  const reasons = guests
    .filter(({ unsupported }) => unsupported !== null)
    .map(({ name, unsupported }) => `${name} cannot be moved: ${unsupported}`);
  const missing = guests
    .filter(({ imageMissing }) => imageMissing)
    .map(
      ({ name }) =>
        `An image of ${name} is missing. Mount its file system. If the image is gone for good, remove ${name} from this list: vmferry guests --forget ${quoteForShell(name)}`,
    );
  const notes = [...reasons, ...missing];
  // Where no guest is known to start with the machine or not, the column says nothing.
  const isShown = guests.some(({ autostart }) => autostart !== null);
  const shown = (cells: readonly string[]) => cells.filter((_, index) => isShown || index !== AUTOSTART);
  const aligned = new Set(numbers.map((index) => (isShown || index < AUTOSTART ? index : index - 1)));
  const table = formatTable(shown(heading), guests.flatMap(guestRows).map(shown), aligned);
  return [table, ...(notes.length === 0 ? [] : [notes.join('\n')])].join('\n\n');
}

/** One row for each disk; the first row also has the guest's own columns. */
function guestRows(guest: GuestSummary): string[][] {
  const { memoryBytes, cpuSeconds, pid, movedTo, autostart } = guest;
  const isElsewhere = movedTo !== null && (guest.state === 'moved' || guest.state === 'moving');
  const first = [
    guest.name,
    guest.driver,
    isElsewhere ? `${guest.state} to ${movedTo}` : guest.state,
    pid === null ? '-' : String(pid),
    memoryBytes === null ? '-' : formatBytes(memoryBytes),
    cpuSeconds === null ? '-' : formatDuration(cpuSeconds),
    autostart === null ? '-' : autostart ? 'yes' : 'no',
  ];
  const disks = guest.disks.map(({ path, sizeBytes, usedBytes }) => [
    sizeBytes === null ? '-' : formatBytes(sizeBytes),
    usedBytes === null ? '-' : formatBytes(usedBytes),
    path,
  ]);
  const [firstDisk = ['-', '-', '-'], ...otherDisks] = disks;
  return [[...first, ...firstDisk], ...otherDisks.map((disk) => [...first.map(() => ''), ...disk])];
}
