import type { Context, WarningCode } from '../events.ts';
import { contentsOf } from '../image/probe.ts';
import type { RegionContent } from '../image/region-content.ts';
import type { SourceDisk } from './source-disk.ts';

/**
 * Warns of regions that vmferry does not understand: their free blocks are read, too. It may be called while the guest
 * runs.
 */
export function warnOfUnknownFileSystems(disk: SourceDisk, context: Context): void {
  warn(disk, 'file-system-not-understood', ({ clean }) => clean === null, context);
}

/** Warns of file systems that are not clean: their free blocks are read, too. While the guest runs, none is clean. */
export function warnOfDoubtfulFileSystems(disk: SourceDisk, context: Context): void {
  warn(disk, 'file-system-not-clean', ({ clean }) => clean !== null, context);
}

function warn(
  { name, layout }: SourceDisk,
  code: WarningCode,
  isMeant: (region: RegionContent) => boolean,
  { report }: Context,
): void {
  for (const region of contentsOf(layout)) {
    if (region.skippable || region.reason === undefined || !isMeant(region)) continue;
    const message = `All allocated blocks of ${name} are read: ${region.reason}.`;
    report({ type: 'warning', code, message });
  }
}
