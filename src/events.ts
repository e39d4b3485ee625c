/** The stages of a move, in their order, and those of backups. */
export const stageNames = [
  'preflight',
  'halt',
  'copy',
  'verify',
  'publish',
  'boot',
  'start',
  'freeze',
  'backup',
  'restore',
  'check',
  'prune',
] as const;
export type StageName = (typeof stageNames)[number];

/** What an operation tells while it runs. Reporters turn these into a bar, plain lines or JSON lines. */
export type Event =
  | { type: 'stage-started'; stage: StageName; message: string }
  | { type: 'stage-finished'; stage: StageName; message: string; seconds: number }
  /** It began, and will not finish; why is told at the end, by the operation's own failure. */
  | { type: 'stage-failed'; stage: StageName; message: string; seconds: number }
  | {
      type: 'progress';
      stage: StageName;
      /** Plain bytes of the image that are through the stage, and how many there are in all. */
      doneBytes: number;
      totalBytes: number;
      /** Compressed bytes that the other side has acknowledged. */
      sentBytes: number;
    }
  | ({ type: 'warning' } & Warning)
  /** What a person should know once, and that is nothing wrong. */
  | { type: 'notice'; message: string };

export interface Warning {
  code: WarningCode;
  message: string;
}

export const warningCodes = [
  'file-system-not-understood',
  'file-system-not-clean',
  'kernel-differs',
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
  'other',
] as const;
export type WarningCode = (typeof warningCodes)[number];

/** What every stage and operation is given besides its own arguments. */
export interface Context {
  /** Aborted when the operation must stop: Ctrl-C, or a failure elsewhere in the pipeline. */
  signal: AbortSignal;
  report: (event: Event) => void;
}
