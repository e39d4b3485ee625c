import { afterEach, describe, expect, test } from '@jest/globals';
import { formatFields, formatTable } from '../../../src/cli/terminal/format.ts';
import { createPaint, wantsColour } from '../../../src/cli/terminal/paint.ts';
import { createBarReporter } from '../../../src/cli/reporters/bar.ts';
import { createJsonReporter } from '../../../src/cli/reporters/json.ts';
import { createLinesReporter } from '../../../src/cli/reporters/lines.ts';
import type { Reporter } from '../../../src/cli/reporters/reporter.ts';
import type { Event } from '../../../src/events.ts';
import { asFailure, combineFailures, Failure } from '../../../src/failure.ts';
import { MemoryStream, screenOf } from './streams.ts';

const MiB = 2 ** 20;
const halted: Event[] = [
  { type: 'stage-started', stage: 'halt', message: 'halting web' },
  { type: 'stage-finished', stage: 'halt', message: 'web is halted', seconds: 3.14 },
];
const copyStarted: Event = { type: 'stage-started', stage: 'copy', message: 'sending web.img' };
const warning: Event = { type: 'warning', code: 'other', message: 'something is odd' };

function progress(doneMiB: number): Event {
  return {
    type: 'progress',
    stage: 'copy',
    doneBytes: doneMiB * MiB,
    totalBytes: 1000 * MiB,
    sentBytes: (doneMiB / 4) * MiB,
  };
}

const result = { record: { type: 'moved', guest: 'web' }, text: 'web runs on newhost.' };
const fullDisk = new Failure('target-full', 'There is no room.', { advice: 'Make some.' });
const unknownKey = new Failure('host-key-unknown', 'The key is unknown.');

interface Shown {
  reporter: Reporter;
  stdout: MemoryStream;
  stderr: MemoryStream;
  clock: { ms: number };
}

function show(create: typeof createLinesReporter | typeof createBarReporter, verbose = false): Shown {
  const [stdout, stderr, clock] = [new MemoryStream(), new MemoryStream(), { ms: 0 }];
  const reporter = create({ stdout, stderr, paint: createPaint(false), verbose, now: () => clock.ms });
  return { reporter, stdout, stderr, clock };
}

describe('json', () => {
  test('prints one event per line, then the result', () => {
    const stdout = new MemoryStream();
    const reporter = createJsonReporter(stdout);
    for (const event of halted) reporter.event(event);
    reporter.succeeded(result);
    expect(stdout.lines.map((line) => JSON.parse(line) as unknown)).toEqual([...halted, result.record]);
  });

  test('ends with the error, its code and all problems', () => {
    const stdout = new MemoryStream();
    createJsonReporter(stdout).failed(combineFailures([fullDisk, unknownKey]));
    expect(JSON.parse(stdout.text)).toEqual({
      type: 'error',
      code: 'target-full',
      message: 'There is no room.; The key is unknown.',
      exitStatus: 14,
      problems: [
        { code: 'target-full', message: 'There is no room.', advice: 'Make some.' },
        { code: 'host-key-unknown', message: 'The key is unknown.' },
      ],
    });
  });
});

describe('lines', () => {
  test('prints a line for each finished stage, and the result on stdout', () => {
    const { reporter, stdout, stderr } = show(createLinesReporter);
    for (const event of halted) reporter.event(event);
    reporter.event({ type: 'notice', message: 'A new store.' });
    reporter.event(warning);
    reporter.succeeded(result);
    expect(stderr.lines).toEqual([
      'halt: web is halted (3.1 s)',
      'A new store.',
      'warning: something is odd',
    ]);
    expect(stdout.text).toBe('web runs on newhost.\n');
  });

  test('prints progress at most every 30 s', () => {
    const { reporter, stderr, clock } = show(createLinesReporter);
    reporter.event(copyStarted);
    for (let tenth = 0; tenth <= 650; tenth++) {
      clock.ms = tenth * 100;
      reporter.event(progress(tenth));
    }
    expect(stderr.lines).toEqual([
      'copy: 30 %, 300 MiB of 0.98 GiB, 10.0 MiB/s, ratio 4.0, 1 min left',
      'copy: 60 %, 600 MiB of 0.98 GiB, 10.0 MiB/s, ratio 4.0, 40 s left',
    ]);
  });

  test('shows each problem with its advice', () => {
    const { reporter, stdout, stderr } = show(createLinesReporter);
    reporter.failed(combineFailures([fullDisk, unknownKey]));
    expect(stderr.lines).toEqual([
      'error: 2 problems:',
      'error: There is no room.',
      '       Make some.',
      'error: The key is unknown.',
    ]);
    expect(stdout.text).toBe('');
  });

  test('shows a bug in one line; --verbose adds the stack', () => {
    const defect = asFailure(new TypeError('x is not a function'));
    const quiet = show(createLinesReporter);
    quiet.reporter.failed(defect);
    expect(quiet.stderr.lines).toEqual([
      'error: This is a bug in vmferry: x is not a function (--verbose shows where.)',
    ]);
    const verbose = show(createLinesReporter, true);
    verbose.reporter.failed(defect);
    expect(verbose.stderr.text).toMatch(/^error: .*\nTypeError: x is not a function\n {4}at /);
  });

  test('--verbose shows causes', () => {
    const { reporter, stderr } = show(createLinesReporter, true);
    const cause = new Error('outer', { cause: new Error('inner') });
    reporter.failed(new Failure('read-failed', 'It broke.', { cause }));
    expect(stderr.lines).toEqual(['error: It broke.', '       caused by: outer', '       caused by: inner']);
  });
});

describe('bar', () => {
  let shown: Shown;
  afterEach(() => {
    // Removes the bar and its timer.
    shown.reporter.succeeded({ ...result, text: '' });
  });

  function terminal(): Shown {
    const all = show(createBarReporter);
    Object.assign(all.stderr, { isTTY: true, columns: 100 });
    return all;
  }

  test('the last line shows the running stage, then its result', () => {
    shown = terminal();
    shown.reporter.event(halted[0] as Event);
    expect(screenOf(shown.stderr.text)).toEqual(['  halt      halting web']);
    shown.reporter.event(halted[1] as Event);
    expect(screenOf(shown.stderr.text)).toEqual(['ok halt      web is halted 3.1 s', '']);
  });

  test('progress is one bar; warnings and notices appear above it', () => {
    shown = terminal();
    shown.reporter.event(copyStarted);
    shown.reporter.event(progress(0));
    shown.clock.ms = 10_000;
    shown.reporter.event(progress(250));
    shown.reporter.event(warning);
    shown.reporter.event({ type: 'notice', message: 'A new store.' });
    const [above, notice, bar, ...rest] = screenOf(shown.stderr.text);
    expect([above, notice]).toEqual(['warning: something is odd', 'A new store.']);
    expect(bar).toBe(
      '  copy   [======                   ]  25 % 250 MiB of 0.98 GiB, 25.0 MiB/s, ratio 4.0, 30 s left',
    );
    expect(rest).toEqual([]);
  });

  test('progress of another stage is not shown', () => {
    shown = terminal();
    shown.reporter.event(copyStarted);
    shown.reporter.event(progress(500));
    shown.reporter.event({ ...progress(250), stage: 'verify' } as Event);
    shown.reporter.event(warning);
    expect(screenOf(shown.stderr.text).at(-1)).toMatch(/^ {2}copy .* 500 MiB/);
  });

  test('the bar disappears when the stage ends', () => {
    shown = terminal();
    shown.reporter.event(copyStarted);
    shown.reporter.event(progress(500));
    shown.reporter.event({ type: 'stage-finished', stage: 'copy', message: 'all is there', seconds: 40 });
    shown.reporter.failed(fullDisk);
    expect(screenOf(shown.stderr.text)).toEqual([
      'ok copy      all is there 40 s',
      'error: There is no room.',
      '       Make some.',
      '',
    ]);
  });

  test('without progress the bar says for how long', () => {
    shown = terminal();
    shown.reporter.event(copyStarted);
    shown.reporter.event(progress(250));
    shown.clock.ms = 12_500;
    // The same numbers again are no progress.
    shown.reporter.event(progress(250));
    shown.reporter.event(warning);
    expect(screenOf(shown.stderr.text).at(-1)).toMatch(/250 MiB of 0\.98 GiB, no progress for 12 s$/);
    shown.reporter.event(progress(260));
    shown.reporter.event(warning);
    expect(screenOf(shown.stderr.text).at(-1)).not.toContain('no progress');
  });

  test('a failed stage is shown as failed', () => {
    shown = terminal();
    shown.reporter.event(copyStarted);
    shown.reporter.event(progress(500));
    shown.reporter.event({ type: 'stage-failed', stage: 'copy', message: 'sending web.img', seconds: 40 });
    shown.reporter.failed(fullDisk);
    expect(screenOf(shown.stderr.text)[0]).toBe('failed copy      sending web.img 40 s');
  });

  test('a message longer than the line is cut, so that it can be erased', () => {
    shown = terminal();
    shown.stderr.columns = 20;
    shown.reporter.event({ type: 'stage-started', stage: 'halt', message: 'x'.repeat(100) });
    expect(screenOf(shown.stderr.text)[0]).toHaveLength(19);
  });
});

test('colour is used on terminals, unless NO_COLOR is set', () => {
  const tty = { isTTY: true };
  expect(wantsColour(tty, { TERM: 'xterm' })).toBe(true);
  expect(wantsColour(tty, { TERM: 'xterm', NO_COLOR: '' })).toBe(true);
  expect(wantsColour(tty, { TERM: 'xterm', NO_COLOR: '1' })).toBe(false);
  expect(wantsColour(tty, { TERM: 'dumb' })).toBe(false);
  expect(wantsColour({}, { TERM: 'xterm' })).toBe(false);
  expect(createPaint(true).bad('x')).toBe('\u001b[31mx\u001b[0m');
});

describe('control characters', () => {
  const hostile = 'a\u001b[2J\u001b]0;x\u0007b\rc\u009b31m\u202Ed\u2028e\u200Bf\uD800g\u0000';
  // oxlint-disable-next-line no-control-regex -- these are what must not be printed
  const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
  const events: Event[] = [
    { type: 'stage-started', stage: 'copy', message: hostile },
    { type: 'stage-finished', stage: 'copy', message: hostile, seconds: 1 },
    { type: 'stage-failed', stage: 'copy', message: hostile, seconds: 1 },
    { type: 'warning', code: 'other', message: hostile },
    { type: 'notice', message: hostile },
  ];
  const failure = () =>
    new Failure('target-full', hostile, { advice: hostile, cause: new Error(hostile, { cause: hostile }) });

  function tell(reporter: Reporter): void {
    for (const event of events) reporter.event(event);
    reporter.notice(hostile);
    reporter.succeeded({ record: { type: 'moved', name: hostile } as { type: string }, text: hostile });
    reporter.failed(failure());
    reporter.failed(asFailure(new Error(hostile)));
  }

  test.each([
    ['lines', createLinesReporter],
    ['the bar', createBarReporter],
  ])('is written out by %s', (_, create) => {
    const { reporter, stdout, stderr } = show(create, true);
    tell(reporter);
    // The bar's own sequences to erase its line.
    const own = stderr.text.replaceAll('\r\u001b[2K', '');
    expect(own + stdout.text).not.toMatch(raw);
    expect(own).toContain('a\\x1b[2J\\x1b]0;x\\x07b\\x0dc\\x9b31m\\u202ed\\u2028e\\u200bf\\ud800g\\x00');
    expect(stdout.text).toContain('\\u202e');
  });

  test('are escaped in JSON without changing its meaning', () => {
    const stdout = new MemoryStream();
    tell(createJsonReporter(stdout));
    expect(stdout.text).not.toMatch(raw);
    expect(stdout.lines.map((line) => JSON.parse(line) as { message?: string })[0]?.message).toBe(hostile);
  });

  test('do not break a table', () => {
    expect(formatTable(['label', 'id'], [['x\ny\u001b[1A', '1']])).toBe(
      'label          id\nx\\x0ay\\x1b[1A  1',
    );
    expect(formatFields([['host', 'a\nb']])).toBe('  host  a\\x0ab');
  });
});
