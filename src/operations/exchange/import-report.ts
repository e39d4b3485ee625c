import type { StartAfterRestore } from '../restore/restore-report.ts';
import type { FilePlace } from '../unpack/file-place.ts';
import type { Unpacked, UnpackTarget } from '../unpack/unpacked.ts';

export interface ImportRequest extends UnpackTarget {
  /** An archive or a compressed image; null: standard input. */
  from: FilePlace | null;
  /** Null: the guest is not started. */
  start: StartAfterImport | null;
}

export interface StartAfterImport extends StartAfterRestore {
  /** Absolute path of a file that describes the guest; null: the archive does. */
  definitionFile: string | null;
}

export interface ImportReport extends Pick<Unpacked, 'content' | 'compression' | 'checked' | 'disks'> {
  type: 'imported';
  /** The file; null: standard input. */
  from: string | null;
  /** The guest's name in the manifest; null without one. */
  guest: string | null;
  /** Null unless it was to be started. */
  started: { pid: number | null; consoleLog: string } | null;
  seconds: number;
}
