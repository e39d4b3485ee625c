import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { parseCalendar, type Calendar } from '../../schedule/calendar.ts';
import { askIfThere } from './systemd-programs.ts';

/**
 * When a backup is to run. What vmferry does not understand itself, `systemd-analyze` is asked about; where that is not
 * installed it is taken as it is, with a warning. Throws Failure `usage`.
 */
export async function checkedCalendar(at: string, isForCron: boolean, context: Context): Promise<Calendar> {
  const calendar = parseCalendar(at);
  if (calendar === null) throw notACalendar(at);
  if (isForCron && calendar.cronFields === null)
    throw new Failure('usage', `The time ${JSON.stringify(at)} cannot be said in a crontab.`, {
      advice:
        'For cron it is a time, with weekdays if need be: 03:00, "Mon 03:00", "Mon..Fri 03:00", hourly, daily.',
    });
  if (calendar.isUnderstood) return calendar;
  const answer = await askIfThere('systemd-analyze', ['calendar', calendar.onCalendar], context);
  if (answer === null)
    context.report({
      type: 'warning',
      code: 'other',
      message: `Whether systemd understands ${JSON.stringify(at)} could not be checked: systemd-analyze is not installed.`,
    });
  else if (answer.exitStatus !== 0) throw notACalendar(at);
  return calendar;
}

function notACalendar(at: string): Failure {
  return new Failure('usage', `${JSON.stringify(at)} is no time that systemd understands.`, {
    advice:
      'Such are 03:00, "Mon 03:00", "Mon..Fri 03:00", hourly, daily, or any other of `man systemd.time`.',
  });
}
