import type { DiskDefinition } from '../../../guest/definition.ts';
import type { MoveOptions } from '../../../guest/guest-record.ts';
import type { RecordStore } from '../../../guest/record-store.ts';
import type { ResolvedGuest } from '../../../guest/resolve-guest.ts';
import type { TargetFormat } from '../../../image/target/target-format.ts';
import type { SshConnection } from '../../../store/sftp/ssh-connection.ts';
import type { ChunksThere } from './chunks-there.ts';
import type { HoldRequest } from './hold.ts';
import type { Compression } from '../../../transfer/compression-level.ts';
import type { DiskAccount } from '../../../transfer/disk-account.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';
import type { FramePool } from '../../../workers/frame-pool.ts';

/** A disk, and where it goes on the new hardware. */
export interface PlacedDisk {
  disk: DiskDefinition;
  /** Absolute, on the new hardware. */
  path: string;
  /** Whether it was chosen with --disk: it may then be a block device. */
  isChosen: boolean;
  /** The format that the copy gets. */
  format: TargetFormat;
}

export interface CopyRequest {
  compression: Compression;
  /** Send free blocks of file systems, too. */
  everyBlock: boolean;
  /** Whether the content of block devices there may be lost. */
  overwrite: boolean;
  /** Copy nothing while the guest runs. */
  cold: boolean;
  /** Whether the copy is kept close to the running guest before the halt; null: it is halted as soon as that is worth it. */
  hold: HoldRequest | null;
  /** Copies of the running guest end when the rest takes less time than this. */
  downtimeGoalMs: number;
  /** What earlier guests of the same command have there; nothing unless given. */
  chunksThere?: ChunksThere;
}

/** A move, as far as its disks are copied. */
export interface CopiedMove {
  request: CopyRequest;
  guest: ResolvedGuest;
  /** Absolute, on the new hardware; null if every disk has a place of its own. */
  directory: string | null;
  /** The disks that move, in the guest’s order. */
  places: readonly PlacedDisk[];
  /** To the new hardware. */
  line: CurrentLine;
  dependencies: { pool: FramePool };
}

/** A lost line is replaced by another one. */
export interface CurrentLine {
  connection: SshConnection;
  receiver: RemoteReceiver;
  /** The paths of the disks that were begun there, over this connection or an earlier one. */
  begun: readonly string[];
}

/** What a claim on the guest needs to know of the move. */
export interface ClaimingMove {
  request: { target: { destination: string }; options?: MoveOptions };
  guest: ResolvedGuest;
  dependencies: { records: RecordStore };
}

export interface MovedDisk extends DiskAccount {
  /** Packs as sent, compressed, in all passes. */
  sentBytes: number;
  /** Plain bytes of the chunks that were not sent, because other disks of the same command had them there. */
  takenBytes: number;
  /** `sha256:` and 64 hexadecimal digits; see doc/formats.md. */
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
}
