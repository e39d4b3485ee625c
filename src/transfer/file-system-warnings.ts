import type { Context, WarningCode } from '../events.ts';
import type { ImageRegion } from '../image/probe.ts';
import type { SourceDisk } from './source-disk.ts';

/** Warns of what is not known to tell its free blocks. That is so whether or not the guest runs. */
export function warnOfUnknownFileSystems(disk: SourceDisk, context: Context): void {
  warn(disk, 'file-system-not-understood', ({ clean }) => clean === null, context);
}

/** Warns of file systems whose word on their free blocks is not to be taken. Of a running guest's that says nothing. */
export function warnOfDoubtfulFileSystems(disk: SourceDisk, context: Context): void {
  warn(disk, 'file-system-not-clean', ({ clean }) => clean !== null, context);
}

function warn(
  { name, layout }: SourceDisk,
  code: WarningCode,
  isMeant: (region: ImageRegion) => boolean,
  { report }: Context,
): void {
  for (const region of layout.regions) {
    if (region.skippable || region.reason === undefined || !isMeant(region)) continue;
    const message = `All allocated blocks of ${name} are read: ${region.reason}.`;
    report({ type: 'warning', code, message });
  }
}
