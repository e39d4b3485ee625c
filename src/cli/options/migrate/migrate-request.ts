import { resolve } from 'node:path';
import { Failure } from '../../../failure.ts';
import type { MigrateRequest } from '../../../operations/migrate/migration-report.ts';
import { readScratch } from '../archive-options.ts';
import { readConversion } from '../as-options.ts';
import { parseDestination } from '../destination.ts';
import { readBootOptions, readHaltOptions } from '../guest-options.ts';
import { readImageFormat, readTargetFormat } from '../images/image-format-options.ts';
import { readLimitRate } from '../limit-rate-option.ts';
import { flag, optionalText, text, wholeNumber, wholeNumberOr, type Arguments } from '../options.ts';
import { readPlaces } from '../place-options.ts';
import { readHold } from './hold-options.ts';
import { readProbing } from './probe-options.ts';
import { optionsToNote } from './resume-options.ts';
import { readRetrying } from './retry-options.ts';

const LONGEST_GOAL_SECONDS = 86_400;

/** Throws Failure `usage`. */
export function readMigrateRequest(args: Arguments): MigrateRequest {
  if (args['to'] === undefined)
    throw new Failure('usage', 'Missing required argument: to.', {
      advice:
        'Say where the guest goes: --to HOST. To go on with a move that broke off: vmferry migrate GUEST --resume',
    });
  return {
    ...readCopiedMove(args),
    ...readImageFormat(args),
    ...readTargetFormat(args),
    ...readHaltOptions(args),
    scratch: readScratch(args),
    oldHostIsGone: flag(args, 'old-host-is-gone'),
    cold: flag(args, 'cold'),
    hold: readHold(args),
    probing: readProbing(args),
    dryRun: flag(args, 'dry-run'),
    options: optionsToNote(args),
  };
}

type WithHalt = 'forceHalt' | 'haltTimeoutMs' | 'cold' | 'hold' | 'probing' | 'dryRun' | 'options';

/** All but what comes with the halt. Throws Failure `usage`. */
export function readCopiedMove(args: Arguments): Omit<MigrateRequest, WithHalt> {
  const sshConfigFile = optionalText(args, 'ssh-config');
  return {
    guest: text(args, 'guest'),
    target: {
      ...parseDestination(text(args, 'to')),
      sshConfigFile: sshConfigFile === null ? null : resolve(sshConfigFile),
    },
    ...readPlaces(args),
    conversion: readConversion(args),
    remoteCommand: text(args, 'remote-command'),
    compression: wholeNumberOr(args, 'compression', 1, 19, 'auto'),
    everyBlock: flag(args, 'every-block'),
    limitRate: readLimitRate(args),
    retrying: readRetrying(args),
    ...readBootOptions(args),
    downtimeGoalMs: 1000 * wholeNumber(args, 'downtime-goal', 1, LONGEST_GOAL_SECONDS),
  };
}
