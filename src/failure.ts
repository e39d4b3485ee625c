import { asPlaced, PlacedText, type TextPiece } from './placed-text.ts';
import { systemErrorText } from './system-error-text.ts';

/** The codes of all expected failures, and the exit status of each. `doc/errors.md` explains them; a test compares the two. */
export const exitStatusByCode = {
  internal: 1,
  usage: 2,

  // The guest or its image on this machine; nothing was changed.
  'guest-not-found': 10,
  'guest-not-running': 10,
  'guest-already-running': 10,
  'guest-fenced': 10,
  'guest-unsupported': 10,
  'image-missing': 10,
  'image-unreadable': 10,
  'image-not-a-disk': 10,
  'image-unsupported': 10,
  'image-in-use': 10,
  'program-missing': 10,
  'not-permitted': 10,
  'resources-short': 10,

  // Halting and starting.
  'halt-failed': 11,
  'start-failed': 11,

  // The connection to the new hardware.
  'host-unreachable': 12,
  'host-key-unknown': 12,
  'host-key-changed': 12,
  'login-refused': 12,
  'connection-lost': 12,
  'transfer-failed': 12,

  // The new hardware itself.
  'receiver-missing': 13,
  'receiver-incompatible': 13,
  'receiver-died': 13,
  'protocol-violation': 13,
  'target-exists': 14,
  'target-missing': 14,
  'target-not-writable': 14,
  'target-full': 14,
  'hypervisor-missing': 14,

  // Reading, writing and checking of bytes.
  'read-failed': 15,
  'write-failed': 15,
  'pack-damaged': 15,
  'archive-damaged': 15,
  'verification-failed': 15,

  // After the copy.
  'boot-failed': 16,
  'probe-failed': 16,
  'outcome-unknown': 17,
  'guest-left-down': 18,

  // A store of backups.
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
  /** What to do about it: a full sentence, with the command to type where there is one. */
  advice?: string | PlacedText | undefined;
  /** The same operation may succeed when it is repeated unchanged. */
  transient?: boolean;
  cause?: unknown;
  /** Failures that are reported together: a preflight reports all that it finds. */
  all?: readonly Failure[];
}

/** An expected failure: shown as message and advice, never as a stack trace. */
export class Failure extends Error {
  readonly code: FailureCode;
  /** For a reader on this machine. */
  readonly advice: string | undefined;
  /** Message and advice for readers on another machine. */
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

/** Combines several failures into one: it has the first one's code, and all of them in `all`. */
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

/** Makes the failure again, for a reader on the same machine. For another machine see wire/messages.ts. */
export function fromFailureParts({ code, message, advice, transient }: FailureParts): Failure {
  return new Failure(code, new PlacedText(message), {
    advice: advice && new PlacedText(advice),
    transient: transient ?? false,
  });
}

/**
 * Picks the error to show from a SuppressedError, which `await using` throws when the clean-up fails, too: `guest-left-down`
 * first, else the original error. Returns any other error unchanged.
 */
export function unsuppressed(thrown: unknown): unknown {
  if (!isSuppressed(thrown)) return thrown;
  const [ofCleanUp, first] = [unsuppressed(thrown.error), unsuppressed(thrown.suppressed)];
  if (!(ofCleanUp instanceof Failure) || ofCleanUp.code !== 'guest-left-down') return first;
  return first instanceof Failure && first !== ofCleanUp ? combineFailures([ofCleanUp, first]) : ofCleanUp;
}

/** Checks the shape: Node 20 lacks the class, and tsc uses an Error of that name instead. */
function isSuppressed(thrown: unknown): thrown is { error: unknown; suppressed: unknown } {
  return typeof thrown === 'object' && thrown !== null && 'error' in thrown && 'suppressed' in thrown;
}

/**
 * Turns anything that was thrown into a Failure. A lack of files, memory or processes becomes `resources-short`; any other error
 * is a defect of vmferry, `internal`.
 */
export function asFailure(error: unknown): Failure {
  const thrown = unsuppressed(error);
  if (thrown instanceof Failure) return thrown;
  const known = systemErrorText(thrown);
  if (known !== null) return new Failure(known.code, known.message, { advice: known.advice, cause: thrown });
  // Checks the shape: an error of a Node module may be an instance of another Error class than the one known here.
  const hasMessage = typeof thrown === 'object' && thrown !== null && 'message' in thrown;
  const message = String(hasMessage ? thrown.message : thrown);
  return new Failure('internal', message, { cause: thrown });
}

/**
 * The failure to show for an error of an operation with this signal. An abort surfaces in many forms: unless the error is a
 * Failure, the signal's reason is shown instead.
 */
export function failureOrReason(thrown: unknown, signal: AbortSignal): Failure {
  return asFailure(signal.aborted && !(unsuppressed(thrown) instanceof Failure) ? signal.reason : thrown);
}

/** The error itself; when files, memory or processes are short, the Failure `resources-short` instead. */
export function orShortage(error: unknown): unknown {
  const failure = asFailure(error);
  return failure.code === 'resources-short' ? failure : error;
}
