import type { MigrateDependencies } from '../../../operations/migrate/migrate-dependencies.ts';
import type { RehearseRequest } from '../../../operations/rehearse/rehearsal-report.ts';
import { asOptions } from '../../options/as-options.ts';
import {
  backingDirectoryOption,
  repeatableBackingDirectory,
  withBackingOption,
} from '../../options/images/backing-directory-option.ts';
import type { Command } from '../../options/command.ts';
import { repeatableConversionOptions } from '../../options/conversion-options.ts';
import { bootOptions } from '../../options/guest-options.ts';
import { limitRateOption } from '../../options/limit-rate-option.ts';
import { lineOptions, passOptions, toOption } from '../../options/migrate/migrate-options.ts';
import { readCopiedMove } from '../../options/migrate/migrate-request.ts';
import { retryOptions } from '../../options/migrate/retry-options.ts';
import { flag, type Arguments } from '../../options/options.ts';
import { placeOptions, repeatablePlaceOptions } from '../../options/place-options.ts';
import { rehearsalText } from '../../texts/rehearsal-text.ts';

/** Of the halt that a rehearsal does not have. */
const noHalt = {
  cold: false,
  hold: null,
  forceHalt: false,
  haltTimeoutMs: 0,
  probing: { chosen: [], address: null, limitMs: 0, keepOpen: false },
  dryRun: false,
} as const;

export const rehearseCommand: Command<MigrateDependencies> = {
  usage: 'rehearse <guest>',
  summary:
    'Boot a copy of a running guest on the new hardware, cut off from the network, and keep the data for the move',
  repeatable: [...repeatablePlaceOptions, ...repeatableConversionOptions, ...repeatableBackingDirectory],
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A guest that runs; it runs on' })
      .options({
        ...toOption,
        ...asOptions,
        as: { ...asOptions.as, describe: 'The hypervisor that runs the guest there (default: its own)' },
        disk: {
          ...placeOptions.disk,
          describe: 'NAME=PATH: where one disk goes there: a new file. NAME as for migrate. May be repeated',
        },
        pause: {
          type: 'boolean',
          describe:
            'Where its file system has no reflinks: stop the guest during the last pass, while its disks are read',
        },
        ...backingDirectoryOption,
        ...passOptions,
        ...limitRateOption,
        'retry-for': retryOptions['retry-for'],
        ...bootOptions,
        ...lineOptions,
      })
      .example('$0 rehearse web --to newhost', 'does it boot there, and how long will it be down?')
      .example('$0 migrate web --to newhost', 'afterwards: sends only what has changed since'),
  read: (args) => {
    const request = readRehearseRequest(args);
    return withBackingOption(args, async ({ dependencies, context }) => {
      const { rehearse } = await import('../../../operations/rehearse/rehearse.ts');
      const report = await rehearse(request, dependencies, context);
      return { record: report, text: rehearsalText(report), isSummary: true };
    });
  },
};

/** Throws Failure `usage`. */
function readRehearseRequest(args: Arguments): RehearseRequest {
  return { ...readCopiedMove(args), ...noHalt, mayPause: flag(args, 'pause') };
}
