import type { ImageFormat } from '../../image/formats/image-format.ts';
import type { Compression } from '../../transfer/compression-level.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { OpenedStore } from '../../repository/keys/store-keys.ts';
import type { RecordingNotes } from '../../repository/recording-notes.ts';
import type { ArchivesElsewhere, OpenGuestDependencies } from '../unpack/open-guest.ts';
import type { StandstillOptions } from './standstill.ts';

export interface BackupOptions extends StandstillOptions {
  compression: Compression;
  everyBlock: boolean;
  /** The format of an image that is named by its path; by its name unless given. */
  imageFormat?: ImageFormat;
  /** Where archives are unpacked; null: beside them. */
  scratch: string | null;
  elsewhere?: ArchivesElsewhere;
  /** Keep a clone of each image beside it, so that the next backup reads only what has changed. */
  keepClones: boolean;
  /** Accept the store's snapshots under the guest's name as this guest's, wherever they were made. */
  adopt: boolean;
}

export interface BackupDependencies extends OpenGuestDependencies {
  version: string;
  recordings: RecordingNotes;
  now: () => Date;
  /** Random hex digits. */
  randomHex: (digits: number) => string;
}

/** One guest to back up. */
export interface GuestBackupJob {
  guest: ResolvedGuest;
  /** The guest's folder, in the store. */
  folder: GuestFolder;
  store: Pick<OpenedStore, 'id' | 'key'>;
  options: BackupOptions;
  dependencies: BackupDependencies;
}
