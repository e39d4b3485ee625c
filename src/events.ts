/** The stages of a move, in order, then those of backups. */
export const stageNames = [
  'preflight',
  'halt',
  'copy',
  'verify',
  'publish',
  'adapt',
  'boot',
  'probe',
  'start',
  'freeze',
  'backup',
  'restore',
  'check',
  'prune',
  'export',
  'import',
] as const;
export type StageName = (typeof stageNames)[number];

/** What an operation reports while it runs. Reporters turn these into a bar, plain lines or JSON lines. */
export type Event = (
  | { type: 'stage-started'; stage: StageName; message: string }
  | { type: 'stage-finished'; stage: StageName; message: string; seconds: number }
  /** The operation's own failure gives the reason. */
  | { type: 'stage-failed'; stage: StageName; message: string; seconds: number }
  | {
      type: 'progress';
      stage: StageName;
      /** Plain bytes of the image: done, and in all. */
      doneBytes: number;
      totalBytes: number;
      /** Compressed bytes that the other side has acknowledged. */
      sentBytes: number;
    }
  | ({ type: 'probed' } & ProbeAccount)
  | ({ type: 'warning' } & Warning)
  /** Worth knowing, and nothing wrong. */
  | { type: 'notice'; message: string }
) & {
  /** Which guest it is about, if a command moves several. */
  guest?: string;
};

/** A probe of a guest that was moved, both answers side by side. */
export interface ProbeAccount {
  /** As it was typed; of a URL without its query. */
  probe: string;
  /** Whether `--probe` named it. */
  isChosen: boolean;
  outcome: ProbeOutcome;
  /** For people: `answered SSH-2.0-OpenSSH_9.2`. */
  before: string;
  /** Null if it was not asked after the boot. */
  after: string | null;
  /** From the end of the boot until it answered as before; null unless it passed. */
  seconds: number | null;
  /** Whether only the new hardware was answered in the same way, and not this machine. */
  isOnlyThere: boolean;
}

export type ProbeOutcome =
  /** It answered as before. */
  | 'passed'
  /** It answered before, and not in the same way after the boot. */
  | 'failed'
  /** It answered before. After the boot it did not answer here, and the new hardware could not be asked whether it answers there. */
  | 'unknown'
  /** It did not answer before, so nothing is required. */
  | 'not-required'
  /** It was not asked until the end, because of an interruption. */
  | 'not-finished';

export interface Warning {
  code: WarningCode;
  message: string;
}

export const warningCodes = [
  'file-system-not-understood',
  'file-system-not-clean',
  'device-overwritten',
  'setting-lost',
  'guest-not-adapted',
  'kernel-differs',
  'not-accelerated',
  'owner-not-kept',
  'clean-up-incomplete',
  'slow-ciphers',
  'guest-rebooted',
  'guest-started-twice',
  'store-promises-less',
  'store-went-back',
  'store-incomplete',
  'after-a-crash',
  'not-remembered',
  'config-passed-over',
  'hypervisor-silent',
  'probe-differs',
  'not-committed',
  'line-lost',
  'other',
] as const;
export type WarningCode = (typeof warningCodes)[number];

/** An argument of every stage and operation. */
export interface Context {
  /** Aborted when the operation must stop, because of Ctrl-C or of a failure elsewhere. */
  signal: AbortSignal;
  report: (event: Event) => void;
}
