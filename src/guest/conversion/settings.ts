import type { HypervisorKind } from '../definition-language.ts';
import type { GuestDefinition } from '../definition.ts';
import type { Boot } from './boot.ts';
import { isSameMachine } from './disks.ts';
import type { Ledger } from './ledger.ts';

type Console = NonNullable<GuestDefinition['console']>;

/** The device that the guest's kernel has its console on; undefined if the definition leaves it open. */
export function convertConsole(
  { console: had }: GuestDefinition,
  from: HypervisorKind,
  driver: HypervisorKind,
  boot: Boot,
  ledger: Ledger,
): Console | undefined {
  const has = newConsole(had, from, driver, boot);
  if (had !== undefined && has !== had)
    ledger.changes.push(`The console ${had} becomes ${has ?? "User Mode Linux's own"}.`);
  return has;
}

function newConsole(
  had: Console | undefined,
  from: HypervisorKind,
  driver: HypervisorKind,
  boot: Boot,
): Console | undefined {
  if (driver === 'uml') return undefined;
  if (driver === 'xen' && boot !== 'firmware') return 'hvc0';
  if (boot === 'firmware') return had === 'hvc0' && !isSameMachine(from, driver) ? 'ttyS0' : had;
  return isSameMachine(from, driver) ? had : 'ttyS0';
}

type Settings = Pick<GuestDefinition, 'clock' | 'machineType' | 'cpuModel' | 'uuid' | 'autostart'>;

/** The settings that only some hypervisors have. */
export function convertSettingsOfGuest(
  { clock, machineType, cpuModel, uuid, autostart }: GuestDefinition,
  from: HypervisorKind,
  driver: HypervisorKind,
  ledger: Ledger,
): Settings {
  const isUml = driver === 'uml';
  const isSame = isSameMachine(from, driver);
  const startsGuests = driver === 'libvirt' || driver === 'xen';
  const lose = (isLost: boolean, sentence: string) => {
    if (isLost) ledger.losses.push(sentence);
  };
  lose(isUml && clock === 'localtime', 'The clock shows UTC, instead of localtime.');
  lose(isUml && uuid !== undefined, `The UUID ${uuid} is lost.`);
  lose(
    !isSame && machineType !== undefined,
    `The machine type ${machineType} is lost: ${driver} has no such machine.`,
  );
  lose(
    !isSame && cpuModel !== undefined,
    `The CPU model ${cpuModel} is lost: ${driver} shows the new machine's CPU.`,
  );
  lose(
    autostart === true && !startsGuests,
    `Autostart is lost: ${driver} does not start guests with the machine. On the new machine: vmferry autostart GUEST`,
  );
  return {
    ...(clock === undefined || isUml ? {} : { clock }),
    ...(machineType === undefined || !isSame ? {} : { machineType }),
    ...(cpuModel === undefined || !isSame ? {} : { cpuModel }),
    ...(uuid === undefined || isUml ? {} : { uuid }),
    ...(autostart === undefined || !startsGuests ? {} : { autostart }),
  };
}
