import { Failure } from '../../failure.ts';
import type { HypervisorKind } from '../definition-language.ts';
import type { Firmware, GuestDefinition } from '../definition.ts';
import type { ConversionTarget } from './choices.ts';
import { isSameMachine } from './disks.ts';
import { tellOfGuestKernel } from './guest-kernel.ts';
import type { Ledger } from './ledger.ts';

export type Boot = NonNullable<GuestDefinition['boot']>;

const possibleBoots: Readonly<Record<HypervisorKind, readonly Boot[]>> = {
  uml: ['kernel'],
  qemu: ['kernel', 'firmware'],
  libvirt: ['kernel', 'firmware'],
  xen: ['kernel', 'firmware', 'boot-loader'],
};

/** What the guest boots from there. Throws Failure `usage` for a choice that the hypervisor does not have. */
export function chooseBoot(
  { boot = 'kernel' }: GuestDefinition,
  { driver, choices }: ConversionTarget,
  ledger: Ledger,
): Boot {
  const possible = possibleBoots[driver];
  if (choices.boot !== undefined && !possible.includes(choices.boot))
    throw new Failure(
      'usage',
      `A guest of ${driver} boots from ${possible.join(' or ')}, not from ${choices.boot}.`,
    );
  const isKernelChosen = choices.kernel !== undefined || choices.guestKernel !== undefined;
  const chosen = choices.boot ?? (isKernelChosen || !possible.includes(boot) ? 'kernel' : boot);
  if (chosen !== boot) ledger.changes.push(`The guest boots from ${chosen}, instead of ${boot}.`);
  return chosen;
}

/** The fields that say how the guest is booted. */
export function convertBoot(
  definition: GuestDefinition,
  from: HypervisorKind,
  { driver, choices }: ConversionTarget,
  boot: Boot,
  ledger: Ledger,
): Pick<GuestDefinition, 'kernel' | 'initrd' | 'boot' | 'firmware' | 'virtualization'> {
  const { guestKernel } = choices;
  const keeps =
    isSameMachine(from, driver) &&
    boot === 'kernel' &&
    choices.kernel === undefined &&
    guestKernel === undefined;
  const owner = guestKernel === undefined ? "the new machine's" : "the guest's";
  const kernel = boot === 'kernel' ? (choices.kernel ?? (keeps ? definition.kernel : null)) : null;
  const initrd = boot === 'kernel' ? (choices.initrd ?? (keeps ? definition.initrd : null)) : null;
  const instead = (path: string | null, what: string) =>
    path ?? (boot === 'kernel' ? `${owner} own ${what}` : `the one that its ${boot} finds`);
  if (definition.kernel !== null && kernel !== definition.kernel)
    ledger.changes.push(`The kernel ${definition.kernel} is replaced by ${instead(kernel, 'kernel')}.`);
  if (definition.initrd !== null && initrd !== definition.initrd)
    ledger.changes.push(
      `The initial RAM disk ${definition.initrd} is replaced by ${instead(initrd, "kernel's one")}.`,
    );
  if (guestKernel !== undefined) tellOfGuestKernel(guestKernel, ledger);
  else if (boot === 'kernel' && kernel === null && definition.kernel === null)
    ledger.changes.push("The kernel is the new machine's own.");
  const firmware = convertFirmware(definition.firmware, isSameMachine(from, driver), boot, ledger);
  const virtualization = driver === 'xen' ? (boot === 'firmware' ? 'hvm' : 'pv') : undefined;
  if (virtualization !== undefined)
    ledger.changes.push(`The guest is a Xen guest of the kind ${virtualization}.`);
  else if (definition.virtualization !== undefined)
    ledger.changes.push(`The guest is no longer a Xen guest of the kind ${definition.virtualization}.`);
  return {
    kernel,
    initrd,
    ...(boot === 'kernel' ? {} : { boot }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(virtualization === undefined ? {} : { virtualization }),
  };
}

function convertFirmware(
  firmware: Firmware | undefined,
  isSame: boolean,
  boot: Boot,
  ledger: Ledger,
): Firmware | undefined {
  if (firmware === undefined) return undefined;
  const code = firmware.kind === 'uefi' ? firmware.code : null;
  const name = `${firmware.kind}${code === null ? '' : ` (${code})`}`;
  if (boot !== 'firmware') {
    ledger.changes.push(`The guest is no longer booted by the firmware ${name}.`);
    return undefined;
  }
  // BIOS is what a guest has when nothing is said. libvirt looks for a special one when it is.
  if (firmware.kind === 'bios') return undefined;
  if (isSame) return firmware;
  if (code === null) {
    ledger.changes.push("The UEFI firmware is the new machine's own.");
    return firmware;
  }
  ledger.changes.push(`The firmware ${name} is replaced by the new machine's own.`);
  return { kind: 'uefi', code: null };
}

/** Tells the new kernel of the root file system, where only the guest's boot menu knew it. */
export function withRoot(commandLine: readonly string[], root: string | undefined, ledger: Ledger): string[] {
  if (commandLine.some((argument) => argument.startsWith('root='))) return [...commandLine];
  if (root === undefined) {
    ledger.losses.push(
      "The arguments of the kernel in the guest's boot menu are not known here: the new kernel is not told of the root file system (root=).",
    );
    return [...commandLine];
  }
  const isTold = commandLine.some((argument) => argument === 'ro' || argument === 'rw');
  ledger.changes.push(`root=${root} is added, which the guest's boot menu said before.`);
  return [`root=${root}`, ...(isTold ? [] : ['ro']), ...commandLine];
}
