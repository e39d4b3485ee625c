import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { OpenGuestDependencies } from '../unpack/open-guest.ts';

export interface MigrateDependencies extends OpenGuestDependencies {
  /** New files, as this machine makes them to boot this guest. */
  bootFilesOf: (guest: string) => BootFilePaths;
}
