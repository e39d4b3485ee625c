import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { here, placed } from '../../placed-text.ts';
import type { GuestDefinition } from '../definition.ts';

/**
 * What is wrong with the files that the definition names. Disks are not among them: they come with the guest.
 * @param coming will be made of the guest's disks
 * @param canRead whether this account can, and with it the hypervisor that it starts
 */
export function checkFiles(
  { driver, boot = 'kernel', kernel, initrd, firmware, drives = [] }: GuestDefinition,
  coming: readonly string[] = [],
  canRead: (path: string) => boolean = isReadable,
): Failure[] {
  const files: [what: string, path: string | null][] = [
    ['kernel', boot === 'kernel' ? kernel : null],
    ['initial RAM disk', boot === 'kernel' ? initrd : null],
    ['UEFI firmware', boot === 'firmware' && firmware?.kind === 'uefi' ? firmware.code : null],
  ];
  const problems = files.flatMap(([what, path]) => {
    if (path === null || coming.includes(path)) return [];
    const hasOwn = what !== 'UEFI firmware' && (driver === 'qemu' || driver === 'libvirt');
    const own = hasOwn ? " To boot the kernel on the guest's own disk: --kernel guest." : '';
    const advice = `Copy it from the machine that the guest ran on, to the same path; or name another one.${own}`;
    const problem = (message: ReturnType<typeof placed>, more = advice) =>
      new Failure('hypervisor-missing', message, { advice: more });
    if (!existsSync(path)) return [problem(placed`The guest's ${what}, ${path}, is not ${here}.`)];
    if (!statSync(path).isFile())
      return [problem(placed`The guest's ${what}, ${path}, is not a file ${here}.`, 'Name the file itself.')];
    // libvirt gives its QEMU the right to read them.
    if (driver === 'libvirt' || canRead(path)) return [];
    return [
      problem(
        placed`This account may not read the guest's ${what}, ${path}, ${here}.`,
        'Let it read the file, name a copy that it may read, or log in as root.',
      ),
    ];
  });
  return [...problems, ...missingMedia(drives)];
}

function missingMedia(drives: NonNullable<GuestDefinition['drives']>): Failure[] {
  return drives.flatMap(({ device, path }) =>
    path === null || existsSync(path)
      ? []
      : [
          new Failure(
            'hypervisor-missing',
            placed`The guest's medium in ${device}, ${path}, is not ${here}.`,
            {
              advice: 'Copy it to the same path, or take it out of the drive.',
            },
          ),
        ],
  );
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
