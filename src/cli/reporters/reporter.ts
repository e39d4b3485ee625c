import type { Event } from '../../events.ts';
import type { Failure } from '../../failure.ts';

/** The result of a command: `record` as JSON, `text` for people. */
export interface CommandResult {
  record: { type: string };
  text: string;
  /** The text only reports success: with --quiet it is not shown. */
  isSummary?: boolean;
  /** A failure to show after the result: some of the guests failed, or a verify found damage. */
  failure?: Failure;
}

/** Shows what a command does. `failed`, or `succeeded` without a failure, is the last call. */
export interface Reporter {
  event(event: Event): void;
  succeeded(result: CommandResult): void;
  failed(failure: Failure): void;
  /** A message of the program itself, such as the answer to a second Ctrl-C. */
  notice(text: string): void;
}

/** The part of a stream that reporters need. */
export interface TextSink {
  write(text: string): unknown;
}
