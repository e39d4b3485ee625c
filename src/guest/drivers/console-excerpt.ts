const lineCount = 8;

/**
 * The end of a guest's console log, for people: its last lines, or the lines up to a kernel panic, without the trace that
 * follows. Control characters are removed: a terminal would obey them.
 */
export function consoleExcerpt(log: string): string {
  const lines = log
    .split(/\r?\n/)
    // First colours and cursor movements (ECMA-48 control sequences), then all other control characters.
    .map((line) =>
      line
        .replaceAll(/\p{Cc}\[[\d;?]*[ -/]*[@-~]/gu, '')
        .replaceAll(/\p{C}/gu, '')
        .trimEnd(),
    )
    .filter((line) => line !== '');
  const panic = lines.findIndex((line) => line.includes('Kernel panic'));
  const end = panic < 0 ? lines.length : panic + 1;
  return lines.slice(Math.max(0, end - lineCount), end).join('\n');
}
