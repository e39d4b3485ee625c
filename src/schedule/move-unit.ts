import { guestUnitName, targetOf, unitNameFor } from './guest-unit.ts';
import { environmentAssignment, execLine, plainLine } from './systemd-text.ts';

/** The data for the unit that goes on with the move of a guest, also after a reboot. */
export interface MoveUnit {
  /** Its name alone, as in its record. */
  guest: string;
  destination: string;
  /** The command that starts vmferry. The program is an absolute path. */
  vmferry: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** For the system's manager; else for an account's manager. */
  isSystem: boolean;
}

/** In the environment of a vmferry that such a unit has started: the unit's name. */
export const MOVE_UNIT_VARIABLE = 'VMFERRY_MOVE_UNIT';

const marker = '# Written by vmferry migrate --service; vmferry removes it when the move has ended.';

/** As `unitNameFor` makes it. */
export function moveUnitName(guest: string): string | null {
  return unitNameFor('vmferry-move-', guest);
}

export function isMoveUnit(text: string): boolean {
  return text.startsWith(`${marker}\n`);
}

/**
 * A move that is killed goes on with what is there, and one that is interrupted removes it. So systemd kills it, when the machine is shut down as
 * well: only its own process, since a guest that it has started runs on (systemd.kill(5)). A guest with a unit of `vmferry autostart` is up before the
 * move goes on, and is halted after it was killed.
 *
 * Null if a path or a variable has a character that a unit file cannot hold.
 */
export function moveUnitText(unit: MoveUnit): string | null {
  const { guest, destination, vmferry, isSystem } = unit;
  const command = execLine([...vmferry, 'migrate', guest, '--resume']);
  const name = moveUnitName(guest);
  const guestUnit = guestUnitName(guest);
  if (command === null || name === null) return null;
  const environment = { ...unit.environment, [MOVE_UNIT_VARIABLE]: name };
  const assignments = Object.entries(environment).map((entry) => environmentAssignment(...entry));
  if (assignments.includes(null)) return null;
  return [
    marker,
    '',
    '[Unit]',
    `Description=${plainLine(`Move of the guest ${guest} to ${destination} by vmferry`)}`,
    'Documentation=man:systemd.service(5)',
    ...(isSystem
      ? ['Wants=network-online.target', 'After=network-online.target local-fs.target remote-fs.target']
      : []),
    ...(guestUnit === null ? [] : [`After=${guestUnit}`]),
    '# What keeps it from going on, such as a guest that is still to be started, may pass.',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=exec',
    ...assignments.map((assignment) => `Environment=${assignment}`),
    `ExecStart=${command}`,
    'Restart=on-failure',
    'RestartSec=60',
    'KillSignal=SIGKILL',
    'KillMode=process',
    '# A guest that it starts inherits these limits. Each of its programs may be a process here.',
    'TasksMax=infinity',
    'OOMPolicy=continue',
    '',
    '[Install]',
    `WantedBy=${targetOf({ isSystem })}`,
    '',
  ].join('\n');
}
