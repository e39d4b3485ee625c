import type { GuestKernel } from '../boot-menu/guest-kernel.ts';
import type { Ledger } from './ledger.ts';

/** Arguments that are said once: where the definition and the menu both say one, the definition's counts. */
const single = /^(root|rootfstype|rootflags|init|resume)=/;

/**
 * The arguments of the guest's boot menu, then those of its definition, as pygrub joins them. Linux takes the last of two that
 * contradict each other; here only that one is left.
 */
export function withMenuArguments(menu: readonly string[], own: readonly string[]): string[] {
  const told = new Set(own.map(keyOf));
  return [...menu.filter((argument) => !told.has(keyOf(argument))), ...own];
}

function keyOf(argument: string): string {
  if (argument === 'ro' || argument === 'rw') return 'ro';
  return single.exec(argument)?.[1] ?? argument;
}

/** What the new machine says, or vmferry itself: it differs from the menu, and is right. */
const ofMachine = /^(root=|console=|rdinit=|vmferry\.|systemd\.mask=)/;

/**
 * Says where the definition's arguments hide those of the menu: they may be those of an earlier menu, which a move has put into the
 * definition.
 * @param mayBeOfMenu whether an earlier move may have done that
 */
export function tellOfOwnArguments(
  menu: readonly string[],
  own: readonly string[],
  mayBeOfMenu: boolean,
  ledger: Ledger,
): void {
  if (menu.length === 0) return;
  const different = own.filter((argument) => !menu.includes(argument) && !ofMachine.test(argument));
  const kept: string[] = [];
  for (const argument of different) {
    const other = menu.find((one) => settingOf(one) === settingOf(argument));
    if (other === undefined) kept.push(argument);
    else
      ledger.losses.push(
        `The boot menu says ${other}, and the definition ${argument}, which counts. If the menu is right, take ${argument} out of the definition first.`,
      );
  }
  if (mayBeOfMenu && kept.length > 0)
    ledger.changes.push(
      `The definition's arguments that the boot menu does not have are kept: ${kept.join(' ')}. If an earlier move took them from the menu, take them out of the definition first.`,
    );
}

/** The same for two arguments that contradict each other. */
function settingOf(argument: string): string {
  const key = keyOf(argument);
  const end = key.indexOf('=');
  return end === -1 ? key : key.slice(0, end);
}

/** Says which kernel the guest will boot, and what a person has to know of it. */
export function tellOfGuestKernel(kernel: GuestKernel | 'not-seen' | 'not-taken', ledger: Ledger): void {
  if (kernel === 'not-taken') {
    ledger.changes.push(
      "The kernel is the guest's own. It stays in its disk here, so no kernel is named: vmferry migrate and vmferry restore --start take it out of the disk. To name a file instead: --kernel FILE.",
    );
    return;
  }
  if (kernel === 'not-seen') {
    ledger.changes.push("The kernel is the guest's own. Which one that is, is told when its disk is there.");
    return;
  }
  const { version, foundBy, initrds, buses, leftOut } = kernel;
  const initrd =
    initrds.length === 0
      ? 'there is no initial RAM disk'
      : `the initial RAM disk is ${initrds.join(' and ')}`;
  ledger.changes.push(
    `The kernel is the guest's own ${version}, ${kernel.kernel} (by ${foundBy}); ${initrd}. They are taken out of its disk.`,
    'Later upgrades of the kernel in the guest have no effect on the kernel that is booted. For a newer one, move the guest again, or install a boot loader in it and boot it by firmware.',
  );
  if (kernel.arguments.length > 0)
    ledger.changes.push(`The boot menu tells the kernel: ${kernel.arguments.join(' ')}`);
  for (const word of leftOut)
    ledger.losses.push(`${word} of the boot menu is left out: only the boot loader knows its value.`);
  if (buses === null)
    ledger.losses.push(
      `Whether the kernel ${version} has a driver for its disk there is not known: its modules or its initial RAM disk could not be read.`,
    );
}
