import type { EditedText } from './edit-fstab.ts';

/** Consoles that a hypervisor other than the new one may have had. `xvc0` was Xen's before `hvc0`. */
const consoles = ['tty0', 'hvc0', 'ttyS0', 'xvc0', 'console'];

/**
 * Moves the login prompt of an inittab(5), of sysvinit or of busybox, to the new console. Prompts on virtual terminals
 * (tty1 and following) stay.
 */
export function editInittab(text: string, newConsole: string): EditedText {
  const lines = text.split(/(?<=\n)/);
  const prompts = lines.map((line) => promptConsole(line));
  const same: EditedText = { text, changes: [], warnings: [] };
  if (prompts.includes(newConsole)) return same;
  const index = prompts.findIndex((console) => console !== null);
  const old = prompts[index];
  if (old === undefined || old === null) return same;
  return {
    text: lines.with(index, withConsole(lines[index] ?? '', old, newConsole)).join(''),
    changes: [`/etc/inittab: the login prompt of ${old} is on ${newConsole} now.`],
    warnings: [],
  };
}

/** The console that a line starts a login prompt or shell on; null for any other line. */
function promptConsole(line: string): string | null {
  const [, id = '', levels = '', , process = ''] =
    /^([^#:\s][^:]*|):([^:]*):(respawn|askfirst|once|ondemand):(.*)/.exec(line) ?? [];
  if (process === '') return null;
  const words = process.split(/\s+/);
  const named = consoles.find((console) => words.includes(console));
  if (words[0]?.endsWith('getty') === true) return named ?? null;
  // Busybox: the id is the console, and there are no runlevels.
  return levels === '' && consoles.includes(id) ? id : null;
}

function withConsole(line: string, old: string, newConsole: string): string {
  const [, id = '', rest = ''] = /^([^:]*)(:.*)$/s.exec(line) ?? [];
  const isBusybox = id === old && rest.startsWith('::');
  const word = new RegExp(String.raw`(?<=\s)${old}(?=\s|$)`);
  return (isBusybox ? newConsole : id) + rest.replace(word, newConsole);
}

/** Allows root to log in on the new console, where there is such a list (pam_securetty(8)). */
export function editSecuretty(text: string, newConsole: string): EditedText {
  const lines = text.split('\n').map((line) => line.trim());
  if (lines.includes(newConsole)) return { text, changes: [], warnings: [] };
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  return {
    text: `${text}${end}${newConsole}\n`,
    changes: [`/etc/securetty: root may log in on ${newConsole}.`],
    warnings: [],
  };
}
