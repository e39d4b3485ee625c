import { inspect } from 'node:util';
import type { Failure } from '../../failure.ts';
import type { Paint } from '../terminal/paint.ts';
import { printable } from '../terminal/printable.ts';

export interface FailureTextOptions {
  paint: Paint;
  /** Also show the causes, and for a bug the stack. */
  verbose: boolean;
}

/** A failure for people: each problem and each advice on its own line. */
export function failureText(failure: Failure, options: FailureTextOptions): string {
  const problems = failure.all.map((one) => problemText(one, options));
  const several = failure.all.length > 1;
  const heading = `${options.paint.bad('error:')} ${failure.all.length} problems:\n`;
  return (several ? heading : '') + problems.join('');
}

function problemText(failure: Failure, { paint, verbose }: FailureTextOptions): string {
  if (failure.code === 'internal') return defectText(failure, { paint, verbose });
  const advice = failure.advice === undefined ? '' : `${indent(printable(failure.advice))}\n`;
  const causes = verbose
    ? causesOf(failure).map((cause) => indent(paint.faint(`caused by: ${printable(cause)}`)))
    : [];
  return `${paint.bad('error:')} ${printable(failure.message)}\n${advice}${causes.map((line) => `${line}\n`).join('')}`;
}

function defectText(failure: Failure, { paint, verbose }: FailureTextOptions): string {
  const [message = ''] = failure.message.split('\n');
  const line = `${paint.bad('error:')} This is a bug in vmferry: ${printable(message)}`;
  if (!verbose) return `${line} (--verbose shows where.)\n`;
  const thrown = failure.cause instanceof Error ? failure.cause : failure;
  return `${line}\n${printable(thrown.stack ?? String(thrown))}\n`;
}

function causesOf(failure: Failure): string[] {
  const causes: string[] = [];
  let cause: unknown = failure.cause;
  // Causes could form a circle, and nobody reads more than a few.
  while (cause !== undefined && causes.length < 8) {
    causes.push(cause instanceof Error ? cause.message : inspect(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `       ${line}`)
    .join('\n');
}
