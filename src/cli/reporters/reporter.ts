import type { Event } from '../../events.ts';
import type { Failure } from '../../failure.ts';

/** What a command found or did. `record` is its plain JSON form, `text` the same for people. */
export interface CommandResult {
  record: { type: string };
  text: string;
  /** The text only says what was done, and that it was done well: with --quiet it is not shown. */
  isSummary?: boolean;
  /** What went wrong all the same, shown after it: some guests of several, damage that was looked for and found. */
  failure?: Failure;
}

/** Shows a command at work. After `failed`, or `succeeded` without a failure, nothing more is shown. */
export interface Reporter {
  event(event: Event): void;
  succeeded(result: CommandResult): void;
  failed(failure: Failure): void;
  /** Something about the program itself, such as what a second Ctrl-C does. */
  notice(text: string): void;
}

/** As much of a stream as reporters need. */
export interface TextSink {
  write(text: string): unknown;
}
