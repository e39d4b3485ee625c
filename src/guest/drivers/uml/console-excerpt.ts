const lineCount = 8;

/**
 * The end of a guest's console log, for people: its last lines, or those around a kernel's panic, whose trace
 * would bury it. Control characters, which could do things to a terminal, are left out.
 */
export function consoleExcerpt(log: string): string {
  const lines = log
    .split(/\r?\n/)
    // Colours and cursor movements first (ECMA-48 control sequences), then what is left of the kind.
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
