import type { Readable, Writable } from 'node:stream';
import type { Event } from '../events.ts';
import { asFailure, Failure, failureOrReason } from '../failure.ts';
import type { Command } from './options/command.ts';
import { watchForInterruption, type SignalSource } from './interruption.ts';
import { readGlobalOptions, type GlobalOptions } from './options/options.ts';
import { createPaint, isCapableTerminal, wantsColour } from './terminal/paint.ts';
import { parseCommandLine, type ParsedCommandLine } from './options/parse.ts';
import { createBarReporter } from './reporters/bar.ts';
import { createJsonReporter } from './reporters/json.ts';
import { createLinesReporter } from './reporters/lines.ts';
import type { CommandResult, Reporter } from './reporters/reporter.ts';

/** Everything that the program gets from outside. */
export interface ProgramWorld<Dependencies extends AsyncDisposable> {
  /** The command line, without node and the program's name. */
  argv: readonly string[];
  environment: NodeJS.ProcessEnv;
  process: SignalSource;
  stdin: Readable;
  stdout: Writable & { isTTY?: boolean; columns?: number };
  stderr: Writable & { isTTY?: boolean };
  version: string;
  commands: readonly Command<Dependencies>[];
  /** Called once, only if there is a command to run: the help loads nothing. */
  loadDependencies: () => Promise<Dependencies>;
  /** A steady clock, in milliseconds. */
  now: () => number;
}

/**
 * The whole program without its process: parses the command line, runs one command, shows what happens and returns the
 * exit status. Results go to stdout, progress and errors to stderr; with --json everything goes to stdout.
 */
export async function runProgram<Dependencies extends AsyncDisposable>(
  world: ProgramWorld<Dependencies>,
): Promise<number> {
  const output = watchOutput(world);
  // Before the command line is parsed, guess from its words how to report a parse error.
  let reporter = createReporter(world, {
    json: world.argv.includes('--json'),
    verbose: world.environment['VMFERRY_DEBUG'] === '1' || world.argv.includes('--verbose'),
    quiet: false,
  });
  try {
    const parsed = await parseCommandLine(world.argv, world.commands, {
      version: world.version,
      columns: world.stdout.columns ?? 80,
    });
    if (parsed.kind === 'text') {
      world.stdout.write(`${parsed.text}\n`);
    } else {
      const options = readGlobalOptions(parsed.args, world.environment);
      reporter = createReporter(
        world,
        parsed.command.internal === true ? { ...options, json: false } : options,
      );
      const result = await runCommand(world, parsed, reporter, options);
      reporter.succeeded(options.quiet && isOnlySummary(result) ? { ...result, text: '' } : result);
      if (result.failure !== undefined) throw result.failure;
    }
    await output.flush();
    return 0;
  } catch (thrown) {
    const failure = asFailure(thrown);
    reporter.failed(failure);
    return failure.exitStatus;
  }
}

/** With --quiet a success prints nothing, because cron mails everything that is printed. */
function isOnlySummary({ isSummary = false, failure }: CommandResult): boolean {
  return isSummary && failure === undefined;
}

async function runCommand<Dependencies extends AsyncDisposable>(
  world: ProgramWorld<Dependencies>,
  parsed: Extract<ParsedCommandLine<Dependencies>, { kind: 'command' }>,
  reporter: Reporter,
  { quiet }: GlobalOptions,
) {
  using interruption = watchForInterruption(world.process, (text) => {
    reporter.notice(text);
  });
  const report = (event: Event) => {
    if (!quiet || event.type === 'warning') reporter.event(event);
  };
  try {
    await using dependencies = await world.loadDependencies();
    const { stdin, stdout } = world;
    return await parsed.run({
      dependencies,
      context: { signal: interruption.signal, report },
      stdin,
      stdout,
    });
  } catch (thrown) {
    throw failureOrReason(thrown, interruption.signal);
  }
}

function createReporter<Dependencies extends AsyncDisposable>(
  { stdout, stderr, environment, now }: ProgramWorld<Dependencies>,
  { json, verbose }: GlobalOptions,
): Reporter {
  if (json) return createJsonReporter(stdout);
  const options = { stdout, stderr, now, verbose, paint: createPaint(wantsColour(stderr, environment)) };
  return isCapableTerminal(stderr, environment) ? createBarReporter(options) : createLinesReporter(options);
}

/**
 * Notes errors of stdout. A reader that closed the pipe (`vmferry guests | head -1`) is no error, and does not stop a
 * move. A full disk is an error, reported at the end.
 */
function watchOutput<Dependencies extends AsyncDisposable>({ stdout, stderr }: ProgramWorld<Dependencies>) {
  let failure: Failure | null = null;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE')
      failure = new Failure('write-failed', `The output could not be written: ${error.message}.`, {
        cause: error,
      });
  });
  stderr.on('error', () => {
    // There is no place left to report it.
  });
  return {
    /** Waits until stdout has taken everything. Throws Failure `write-failed`. */
    async flush() {
      await new Promise((resolve) => stdout.write('', resolve));
      // The error event follows the callback.
      await new Promise(setImmediate);
      if (failure !== null) throw failure;
    },
  };
}
