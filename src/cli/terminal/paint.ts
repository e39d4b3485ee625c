/** Colours for a terminal. With colour off, each returns its text unchanged. */
export interface Paint {
  good: (text: string) => string;
  warning: (text: string) => string;
  bad: (text: string) => string;
  faint: (text: string) => string;
}

/** SGR codes of ECMA-48: 32 green, 33 yellow, 31 red, 2 faint, 0 reset. */
export function createPaint(coloured: boolean): Paint {
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { good: paint(32), warning: paint(33), bad: paint(31), faint: paint(2) };
}

export interface StreamTraits {
  isTTY?: boolean;
}

/** A terminal that can move its cursor. */
export function isCapableTerminal(stream: StreamTraits, environment: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** Colour only on a terminal, and not if NO_COLOR is set and not empty (no-color.org). */
export function wantsColour(stream: StreamTraits, environment: NodeJS.ProcessEnv): boolean {
  return isCapableTerminal(stream, environment) && (environment['NO_COLOR'] ?? '') === '';
}
