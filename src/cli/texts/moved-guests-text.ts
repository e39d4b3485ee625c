import { Failure } from '../../failure.ts';
import type {
  MovedGuestsReport,
  PlannedGuestsReport,
} from '../../operations/migrate/several/moves-report.ts';
import { formatTable } from '../terminal/format.ts';
import type { CommandResult } from '../reporters/reporter.ts';
import { migrationPlanText, migrationReportText } from './migration-text.ts';

/** The result of a command that moved several guests. Each failure was shown with its reason before. */
export function movedGuestsResult(report: MovedGuestsReport | PlannedGuestsReport): CommandResult {
  if (report.type === 'guests-planned')
    return { record: report, text: report.guests.map(migrationPlanText).join('\n\n') || NONE };
  const { guests, failed, notBegun, destination } = report;
  const rows = [
    ...guests.map(({ guest, booted }) => [
      guest,
      booted === null ? `is on ${destination}` : `runs on ${destination}`,
    ]),
    ...failed.map(({ guest, code }) => [guest, `was not moved (${code})`]),
    ...notBegun.map((guest) => [guest, 'stays as it is']),
  ];
  const text = [...guests.map(migrationReportText), formatTable(['guest', 'now'], rows)].join('\n\n');
  const [first] = failed;
  return {
    record: report,
    text: rows.length === 0 ? NONE : text,
    isSummary: true,
    ...(first !== undefined && { failure: notAll(report, first.code) }),
  };
}

const NONE = 'No guest runs here.';

function notAll({ failed, notBegun }: MovedGuestsReport, code: Failure['code']): Failure {
  const names = failed.map(({ guest }) => guest).join(', ');
  const rest = notBegun.length === 0 ? '' : ` Not begun: ${notBegun.join(', ')}.`;
  return new Failure(code, `Not moved: ${names}.${rest}`, {
    advice: 'The reasons are above. Help there first, then type the command again with these guests.',
  });
}
