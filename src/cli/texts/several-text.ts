import { Failure } from '../../failure.ts';
import type { SeveralReport } from '../../operations/guests/several-guests.ts';
import type { CommandResult } from '../reporters/reporter.ts';

/** The result of a command that acted on several guests. Each failure was shown with its reason before. */
export function severalResult<Report>(
  report: SeveralReport<string, Report>,
  textOf: (one: Report) => string,
  none: string,
): CommandResult {
  const { guests, failed } = report;
  const text = guests.map(textOf).join('\n');
  const [first] = failed;
  return {
    record: report,
    text: guests.length + failed.length === 0 ? none : text,
    isSummary: true,
    ...(first === undefined
      ? {}
      : {
          failure: notAll(
            failed.map(({ guest }) => guest),
            first.code,
          ),
        }),
  };
}

function notAll(names: readonly string[], code: Failure['code']): Failure {
  // `libvirt:` stands for all guests of a hypervisor that does not answer.
  const shown = names.map((name) => (name.endsWith(':') ? `all guests of ${name.slice(0, -1)}` : name));
  return new Failure(code, `Not done: ${shown.join(', ')}.`, {
    advice: 'The reasons are above. Help there first, then type the command again for these guests.',
  });
}
