import { Failure } from '../../../failure.ts';
import type { PlainMoveRequest } from '../../../operations/plain-move/plain-move-report.ts';
import { readImageFormat } from '../images/image-format-options.ts';
import { optionalText, type Arguments } from '../options.ts';
import { readMigrateRequest } from './migrate-request.ts';

/** Without an effect on a move to a machine that has no vmferry. */
const notPlain = [
  'as',
  'kernel',
  'initrd',
  'network',
  'no-fixups',
  'disk',
  'overwrite',
  'dry-run',
  'cold',
  'limit-rate',
  'format',
  'probe',
  'probe-for',
  'address',
  'keep-open',
  'hold',
  'cutover',
  'all',
  'keep-going',
  'retry-for',
  'max-downtime',
];

/** A move by `--via`; null without it. Throws Failure `usage`. */
export function readPlainMove(args: Arguments, guests: readonly string[] | null): PlainMoveRequest | null {
  if (optionalText(args, 'via') === null) return null;
  const [guest, other] = guests ?? [];
  if (guest === undefined || other !== undefined)
    throw new Failure('usage', '--via moves one guest at a time.', { advice: 'Name one guest.' });
  const option = notPlain.find((name) => args[name] !== undefined && !isEmptyList(args[name]));
  if (option !== undefined)
    throw new Failure(
      'usage',
      `--${option} has no effect with --via: there is no vmferry on the other machine.`,
    );
  const { target, everyBlock, forceHalt, haltTimeoutMs, bootTimeoutMs } = readMigrateRequest({
    ...args,
    guest,
  });
  return {
    guest,
    target,
    everyBlock,
    ...readImageFormat(args),
    forceHalt,
    haltTimeoutMs,
    bootTimeoutMs,
  };
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
