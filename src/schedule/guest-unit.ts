import { environmentAssignment, execLine, plainLine } from './systemd-text.ts';

/** The data for the unit that starts one guest with the machine. */
export interface GuestUnit {
  /** The guest with its hypervisor: `uml:web`. */
  guest: string;
  /** The command that starts vmferry. The program is an absolute path. */
  vmferry: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** For the system's manager; else for an account's manager. */
  isSystem: boolean;
  bootTimeoutSeconds: number;
  /** For each way of halting the guest. */
  haltTimeoutSeconds: number;
  /** The units that this one is started after, and stopped before: see `unitNameFor`. */
  after: readonly string[];
}

const marker = '# Written by vmferry autostart; it may be written anew by it.';
const subjectPrefix = '# vmferry-autostart: ';
/** The longest name of a unit (systemd.unit(5)). Unit names are ASCII. */
const MOST_CHARACTERS = 255;
/** No driver has more ways of halting a guest. */
const MOST_WAYS_OF_HALTING = 4;

/** The name of the unit that starts the guest with the machine, as `unitNameFor` makes it. */
export function guestUnitName(guestName: string): string | null {
  return unitNameFor('vmferry-guest-', guestName);
}

/**
 * The name of a unit for a guest, with the ending. Characters that a unit's name cannot have are written as systemd-escape(1)
 * writes them; hyphens are kept, because `\x2d` is awkward to type, and a backslash never stays one. Null if it is too long.
 */
export function unitNameFor(prefix: string, guestName: string): string | null {
  const escaped = Array.from(new TextEncoder().encode(guestName), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9:_.-]/.test(character)
      ? character
      : String.raw`\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
  const name = `${prefix}${escaped}.service`;
  return name.length <= MOST_CHARACTERS ? name : null;
}

/** The guest of a unit file that `guestUnitText` wrote; null for any other text. */
export function guestOfUnit(text: string): string | null {
  const [first, second] = text.split('\n');
  if (first !== marker || second?.startsWith(subjectPrefix) !== true) return null;
  return second.slice(subjectPrefix.length);
}

/** The commands of the unit. Both succeed if there is nothing to do. */
export function guestCommands({
  vmferry,
  guest,
  bootTimeoutSeconds,
  haltTimeoutSeconds,
}: Omit<GuestUnit, 'environment' | 'isSystem' | 'after'>): {
  start: readonly string[];
  halt: readonly string[];
} {
  return {
    start: [...vmferry, 'start', guest, '--if-down', '--boot-timeout', String(bootTimeoutSeconds)],
    halt: [...vmferry, 'halt', guest, '--if-running', '--halt-timeout', String(haltTimeoutSeconds)],
  };
}

/** The target that the unit is started with. */
export function targetOf({ isSystem }: Pick<GuestUnit, 'isSystem'>): string {
  return isSystem ? 'multi-user.target' : 'default.target';
}

/**
 * The guest's processes stay in the unit's control group, because it is vmferry in the unit that starts them. systemd signals
 * nothing before `ExecStop=` has ended (systemd.service(5)). After it, KillMode=process leaves alone a guest that did not
 * halt; KillMode=none would also leave a vmferry that hangs, and systemd warns of it (systemd.kill(5)).
 *
 * Null if a path or a variable has a character that a unit file cannot hold.
 */
export function guestUnitText(unit: GuestUnit): string | null {
  const { guest, isSystem, environment, haltTimeoutSeconds, after } = unit;
  const { start, halt } = guestCommands(unit);
  const lines = [execLine(start), execLine(halt)];
  const assignments = Object.entries(environment).map((entry) => environmentAssignment(...entry));
  if ([...lines, ...assignments].includes(null)) return null;
  return [
    marker,
    `${subjectPrefix}${guest}`,
    '',
    '[Unit]',
    `Description=${plainLine(`Guest ${guest}, started and halted by vmferry`)}`,
    'Documentation=man:systemd.service(5)',
    ...(isSystem
      ? ['Wants=network-online.target', 'After=network-online.target local-fs.target remote-fs.target']
      : []),
    // One that fails, or is not there, keeps no other from being started (systemd.unit(5)).
    ...(after.length === 0 ? [] : [`After=${after.join(' ')}`]),
    '',
    '[Service]',
    'Type=oneshot',
    'RemainAfterExit=yes',
    ...assignments.map((assignment) => `Environment=${assignment}`),
    `ExecStart=${lines[0]}`,
    `ExecStop=${lines[1]}`,
    '# Each way of halting the guest gets its whole time.',
    `TimeoutStopSec=${MOST_WAYS_OF_HALTING * haltTimeoutSeconds + 60}`,
    '# Only vmferry halts the guest. systemd ends nothing but a vmferry that took too long.',
    'KillMode=process',
    '# The guest inherits these limits. Each of its programs may be a process here.',
    'TasksMax=infinity',
    'OOMPolicy=continue',
    '',
    '[Install]',
    `WantedBy=${targetOf(unit)}`,
    '',
  ].join('\n');
}
