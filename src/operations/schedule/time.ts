import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { parseCalendar, type Calendar } from '../../schedule/calendar.ts';
import { askIfThere } from './systemd-programs.ts';

/**
 * Parses the time of a schedule. `systemd-analyze` checks what vmferry does not understand; if it is not installed, the time
 * is used unchecked, with a warning. Throws Failure `usage`.
 */
export async function checkedCalendar(at: string, isForCron: boolean, context: Context): Promise<Calendar> {
  const calendar = parseCalendar(at);
  if (calendar === null) throw notACalendar(at);
  if (isForCron && calendar.cronFields === null)
    throw new Failure('usage', `A crontab cannot express the time ${JSON.stringify(at)}.`, {
      advice: 'Examples of times for cron: 03:00, "Mon 03:00", "Mon..Fri 03:00", hourly, daily.',
    });
  if (calendar.isUnderstood) return calendar;
  const answer = await askIfThere('systemd-analyze', ['calendar', calendar.onCalendar], context);
  if (answer === null)
    context.report({
      type: 'warning',
      code: 'other',
      message: `vmferry could not check whether systemd understands ${JSON.stringify(at)}: systemd-analyze is not installed.`,
    });
  else if (answer.exitStatus !== 0) throw notACalendar(at);
  return calendar;
}

function notACalendar(at: string): Failure {
  return new Failure('usage', `The time ${JSON.stringify(at)} is not valid for systemd.`, {
    advice: 'Examples: 03:00, "Mon 03:00", "Mon..Fri 03:00", hourly, daily. All forms: man systemd.time',
  });
}
