import { asPlaced, PlacedText, type TextPiece } from './placed-text.ts';
import { systemErrorText } from './system-error-text.ts';

/**
 * Everything that can go wrong in a way a person should read about, and the exit status it gives.
 * `doc/errors.md` says the same in prose; a test holds the two together.
 */
export const exitStatusByCode = {
  internal: 1,
  usage: 2,

  // the guest or its image, on this machine: nothing was changed
  'guest-not-found': 10,
  'guest-not-running': 10,
  'guest-already-running': 10,
  'guest-fenced': 10,
  'guest-unsupported': 10,
  'image-missing': 10,
  'image-unreadable': 10,
  'image-not-a-disk': 10,
  'image-in-use': 10,
  'not-permitted': 10,
  'resources-short': 10,

  // halting, starting
  'halt-failed': 11,
  'start-failed': 11,

  // the way to the new hardware
  'host-unreachable': 12,
  'host-key-unknown': 12,
  'host-key-changed': 12,
  'login-refused': 12,
  'connection-lost': 12,
  'transfer-failed': 12,

  // the new hardware itself
  'receiver-missing': 13,
  'receiver-incompatible': 13,
  'receiver-died': 13,
  'protocol-violation': 13,
  'target-exists': 14,
  'target-missing': 14,
  'target-not-writable': 14,
  'target-full': 14,
  'hypervisor-missing': 14,

  // the bytes
  'read-failed': 15,
  'write-failed': 15,
  'pack-damaged': 15,
  'verification-failed': 15,

  // after the copy
  'boot-failed': 16,
  'outcome-unknown': 17,
  'guest-left-down': 18,

  // a store of backups
  'store-missing': 19,
  'store-unsupported': 19,
  'snapshot-missing': 19,
  'store-damaged': 20,
  'key-missing': 21,
  'key-wrong': 21,

  interrupted: 130,
} as const satisfies Record<string, number>;

export type FailureCode = keyof typeof exitStatusByCode;

export interface FailureOptions {
  /** What the person can do about it: a full sentence, with the command to type where there is one. */
  advice?: string | PlacedText | undefined;
  /** The same operation may succeed when tried again unchanged. */
  transient?: boolean;
  cause?: unknown;
  /** Failures that belong together (a preflight reports everything that is wrong at once). */
  all?: readonly Failure[];
}

/** An expected failure: shown to the person as message and advice, never as a stack trace. */
export class Failure extends Error {
  readonly code: FailureCode;
  /** As it is read on this machine. */
  readonly advice: string | undefined;
  /** Message and advice for whoever reads them on another machine. */
  readonly placed: { message: PlacedText; advice: PlacedText | undefined };
  readonly transient: boolean;
  readonly all: readonly Failure[];

  constructor(code: FailureCode, message: string | PlacedText, options: FailureOptions = {}) {
    super(String(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.code = code;
    this.advice = options.advice === undefined ? undefined : String(options.advice);
    this.placed = {
      message: asPlaced(message),
      advice: options.advice === undefined ? undefined : asPlaced(options.advice),
    };
    this.transient = options.transient ?? false;
    this.all = options.all ?? [this];
  }

  get exitStatus(): number {
    return exitStatusByCode[this.code];
  }

  /** The same failure with another message; this one is its cause. */
  withMessage(message: string | PlacedText): Failure {
    const { code, transient, placed } = this;
    return new Failure(code, message, { advice: placed.advice, transient, cause: this });
  }
}

/** One failure for several: the first one's code, all of them in `all`. */
export function combineFailures(failures: readonly [Failure, ...Failure[]]): Failure {
  const [first, ...others] = failures;
  if (others.length === 0) return first;
  const pieces = failures.flatMap(({ placed }, index) => [
    ...(index === 0 ? [] : ['; ']),
    ...placed.message.pieces,
  ]);
  return new Failure(first.code, new PlacedText(pieces), {
    all: failures,
    cause: first,
  });
}

/** A failure as `--json` prints it. */
export interface FailureRecord {
  code: FailureCode;
  message: string;
  advice?: string;
}

export function toFailureRecord({ code, message, advice }: Failure): FailureRecord {
  return { code, message, ...(advice === undefined ? {} : { advice }) };
}

/** A failure on its way to another thread or machine. Its cause stays behind. */
export interface FailureParts {
  code: FailureCode;
  message: readonly TextPiece[];
  advice?: readonly TextPiece[];
  transient?: true;
}

export function toFailureParts({ code, placed: { message, advice }, transient }: Failure): FailureParts {
  return {
    code,
    message: message.pieces,
    ...(advice === undefined ? {} : { advice: advice.pieces }),
    ...(transient ? { transient } : {}),
  };
}

/** The failure as it was, on the same machine. On another one: wire/messages.ts. */
export function fromFailureParts({ code, message, advice, transient }: FailureParts): Failure {
  return new Failure(code, new PlacedText(message), {
    advice: advice && new PlacedText(advice),
    transient: transient ?? false,
  });
}

/**
 * What of a SuppressedError, which `await using` throws when a clean-up fails besides, a person has to hear: that a guest
 * is down, before all else; or else what came first. Anything else that was thrown is itself.
 */
export function unsuppressed(thrown: unknown): unknown {
  if (!isSuppressed(thrown)) return thrown;
  const [ofCleanUp, first] = [unsuppressed(thrown.error), unsuppressed(thrown.suppressed)];
  if (!(ofCleanUp instanceof Failure) || ofCleanUp.code !== 'guest-left-down') return first;
  return first instanceof Failure && first !== ofCleanUp ? combineFailures([ofCleanUp, first]) : ofCleanUp;
}

/** By its shape: Node 20 has no such class, and tsc puts an Error of that name in its place. */
function isSuppressed(thrown: unknown): thrown is { error: unknown; suppressed: unknown } {
  return typeof thrown === 'object' && thrown !== null && 'error' in thrown && 'suppressed' in thrown;
}

/**
 * Turns whatever was thrown into a Failure; what is not one already, and no lack of files, memory or processes
 * (`resources-short`), is a defect of ours, `internal`.
 */
export function asFailure(error: unknown): Failure {
  const thrown = unsuppressed(error);
  if (thrown instanceof Failure) return thrown;
  const known = systemErrorText(thrown);
  if (known !== null) return new Failure(known.code, known.message, { advice: known.advice, cause: thrown });
  // By its shape: an error of Node's own modules need not be an instance of the Error that is known here.
  const hasMessage = typeof thrown === 'object' && thrown !== null && 'message' in thrown;
  const message = String(hasMessage ? thrown.message : thrown);
  return new Failure('internal', message, { cause: thrown });
}

/**
 * The failure to show for what was thrown, given the operation's signal. An abort surfaces from many places in many
 * forms: unless it is a Failure, the signal's reason is shown instead.
 */
export function failureOrReason(thrown: unknown, signal: AbortSignal): Failure {
  return asFailure(signal.aborted && !(unsuppressed(thrown) instanceof Failure) ? signal.reason : thrown);
}

/** The error itself, or, where it says that files, memory or processes are short, the Failure for it. */
export function orShortage(error: unknown): unknown {
  const failure = asFailure(error);
  return failure.code === 'resources-short' ? failure : error;
}
