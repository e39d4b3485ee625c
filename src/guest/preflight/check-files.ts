import { existsSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { here, placed } from '../../placed-text.ts';
import type { GuestDefinition } from '../definition.ts';

/** The files that the definition names and that are not here. Disks are not among them: they come with the guest. */
export function checkFiles({
  boot = 'kernel',
  kernel,
  initrd,
  firmware,
  drives = [],
}: GuestDefinition): Failure[] {
  const wanted: [what: string, path: string | null][] = [
    ['kernel', boot === 'kernel' ? kernel : null],
    ['initial RAM disk', boot === 'kernel' ? initrd : null],
    ['UEFI firmware', boot === 'firmware' && firmware?.kind === 'uefi' ? firmware.code : null],
    ...drives.map(({ device, path }): [string, string | null] => [`medium in ${device}`, path]),
  ];
  return wanted.flatMap(([what, path]) => {
    if (path === null || existsSync(path)) return [];
    const message = placed`The guest's ${what}, ${path}, is not ${here}.`;
    return [
      new Failure('hypervisor-missing', message, {
        advice: what.startsWith('medium')
          ? 'Copy it to the same path, or take it out of the drive.'
          : 'Copy it from the machine that the guest ran on, to the same path; or name another one.',
      }),
    ];
  });
}
