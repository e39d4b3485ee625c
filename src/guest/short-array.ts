import { z } from 'zod';

/** A list with at most `most` items. A longer list is refused as a whole: messages about millions of items would take gigabytes. */
export function shortArray<Item extends z.ZodType>(item: Item, most: number) {
  return z
    .custom<unknown[]>(
      (value) => Array.isArray(value) && value.length <= most,
      `is not a list of at most ${most}`,
    )
    .pipe(z.array(item));
}

const MOST_ISSUES_TOLD = 5;

/** The problems in one line. */
export function issuesText({ issues }: z.ZodError): string {
  const told = issues
    .slice(0, MOST_ISSUES_TOLD)
    .map(({ path, message }) => `${path.join('.') || 'as a whole'}: ${message.slice(0, 200)}`);
  const others = issues.length > MOST_ISSUES_TOLD ? [`and ${issues.length - MOST_ISSUES_TOLD} more`] : [];
  return [...told, ...others].join('; ');
}
