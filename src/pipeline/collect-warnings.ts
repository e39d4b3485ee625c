import type { Context } from '../events.ts';

/** The same context; what is reported to it as a warning is kept as well, for the report at the end. */
export function collectWarnings(context: Context): { watched: Context; warnings: string[] } {
  const warnings: string[] = [];
  const watched: Context = {
    ...context,
    report(event) {
      if (event.type === 'warning') warnings.push(event.message);
      context.report(event);
    },
  };
  return { watched, warnings };
}
