import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { OpenGuestDependencies } from '../unpack/open-guest.ts';

export interface MigrateDependencies extends OpenGuestDependencies {
  /** The files that this machine has made to boot this guest, if it has made any. */
  bootFilesOf: (guest: string) => BootFilePaths;
}
