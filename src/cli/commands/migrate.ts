import process from 'node:process';
import { Failure } from '../../failure.ts';
import type { MigrateDependencies } from '../../operations/migrate/migrate-dependencies.ts';
import type { PlainMoveDependencies } from '../../operations/plain-move/plain-move.ts';
import type { MigrateRequest } from '../../operations/migrate/migration-report.ts';
import { readElsewhere } from '../options/archive-options.ts';
import { withBackingOption } from '../options/images/backing-directory-option.ts';
import type { CommandResult } from '../reporters/reporter.ts';
import type { Command, CommandEnvironment, Run } from '../options/command.ts';
import { allOption, readGuests } from '../options/guest-options.ts';
import { defineMigrateOptions, repeatableMigrateOptions } from '../options/migrate/migrate-options.ts';
import { readMigrateRequest } from '../options/migrate/migrate-request.ts';
import { argumentsToResume, readResumed, wholeCommand } from '../options/migrate/resume-options.ts';
import { flag, type Arguments } from '../options/options.ts';
import { moveServiceText } from '../texts/move-service-text.ts';
import { migrationPlanText, migrationReportText } from '../texts/migration-text.ts';
import { readPlainMove } from '../options/migrate/plain-move-options.ts';
import { plainMoveText } from '../texts/plain-move-text.ts';
import { movedGuestsResult } from '../texts/moved-guests-text.ts';

export const migrateCommand: Command<MigrateDependencies & PlainMoveDependencies> = {
  usage: 'migrate [guests..]',
  summary: 'Move guests to new hardware and boot them there',
  repeatable: repeatableMigrateOptions,
  define: (parser) =>
    defineMigrateOptions(
      parser
        .positional('guests', {
          type: 'string',
          array: true,
          describe:
            'Names of running guests, in the order in which they move, or paths: of images that no guest uses, ' +
            'of an archive (of vmferry export, OVA), or of a compressed image. HOST:PATH is an archive on another machine, - is standard input',
        })
        .options({
          ...allOption,
          'keep-going': {
            type: 'boolean',
            describe: 'With several guests: one that cannot be moved does not keep the next ones here',
          },
        }),
    ).example('$0 migrate db web --to newhost', 'two guests, db first; both are checked before'),
  read: (args) => withBackingOption(args, readMove(args)),
};

/** Throws Failure `usage`. */
function readMove(args: Arguments): Run<MigrateDependencies & PlainMoveDependencies> {
  const guests = readMovingGuests(args);
  if (flag(args, 'resume')) return resumeMove(readResumed(args, guests), args);
  const plain = readPlainMove(args, guests);
  if (plain !== null)
    return async ({ dependencies, context }) => {
      const { movePlainly } = await import('../../operations/plain-move/plain-move.ts');
      const report = await movePlainly(plain, dependencies, context);
      return { record: report, text: plainMoveText(report), isSummary: true };
    };
  const requestFor = (guest: string) => readMigrateRequest({ ...args, guest });
  const request = requestFor(guests?.[0] ?? 'all');
  const isService = flag(args, 'service') && !request.dryRun;
  if (guests?.length === 1)
    return (environment) => {
      const elsewhere = readElsewhere(args, guests, environment.stdin);
      return (isService ? beginService : moveOne)({ ...request, elsewhere }, environment);
    };
  if (request.disks.length > 0)
    throw new Failure('usage', '--disk names a disk of one guest, and several are to move.', {
      advice: 'Move that guest by itself.',
    });
  if (request.hold !== null)
    throw new Failure('usage', '--hold and --cutover are for one guest, and several are to move.', {
      advice: 'Give one command for each guest.',
    });
  const { target, dryRun } = request;
  const keepGoing = flag(args, 'keep-going');
  return async ({ dependencies, context, stdin }) => {
    const { migrateGuests } = await import('../../operations/migrate/several/migrate-guests.ts');
    const elsewhere = readElsewhere(args, guests ?? [], stdin);
    const requestOf = (guest: string) => ({ ...requestFor(guest), elsewhere });
    const all = { guests, requestFor: requestOf, destination: target.destination, dryRun, keepGoing };
    return movedGuestsResult(await migrateGuests(all, dependencies, context));
  };
}

async function moveOne(
  request: MigrateRequest,
  { dependencies, context }: CommandEnvironment<MigrateDependencies>,
): Promise<CommandResult> {
  const { migrate } = await import('../../operations/migrate/migrate.ts');
  const answer = await migrate(request, dependencies, context);
  const text = answer.type === 'plan' ? migrationPlanText(answer) : migrationReportText(answer);
  return { record: answer, text, isSummary: answer.type !== 'plan' };
}

async function beginService(
  request: MigrateRequest,
  { dependencies, context }: CommandEnvironment<MigrateDependencies>,
): Promise<CommandResult> {
  const { beginMoveService } = await import('../../operations/moves/move-service.ts');
  const { scheduleWorld } = await import('../../operations/schedule/units.ts');
  const isSystem = process.getuid?.() === 0;
  // The service has no agent: a key that needs one is refused now, and not at night.
  delete process.env['SSH_AUTH_SOCK'];
  const world = scheduleWorld(isSystem, process.env);
  const report = await beginMoveService(request, isSystem, dependencies, world, context);
  return { record: report, text: moveServiceText(report), isSummary: true };
}

function resumeMove(guest: string, args: Arguments): Run<MigrateDependencies> {
  return async (environment) => {
    try {
      return await goOn(guest, args, environment);
    } finally {
      await endService(guest, environment);
    }
  };
}

async function goOn(
  guest: string,
  args: Arguments,
  environment: CommandEnvironment<MigrateDependencies>,
): Promise<CommandResult> {
  const { dependencies, context } = environment;
  const { optionsToResume } = await import('../../operations/moves/options-to-resume.ts');
  const options = await optionsToResume(guest, dependencies.records);
  const resumed = { ...argumentsToResume(args, options), guest };
  const request = readMigrateRequest(resumed);
  context.report({ type: 'notice', message: `Going on with: ${wholeCommand(guest, resumed)}` });
  const move: Run<MigrateDependencies> = (resuming) => moveOne(request, resuming);
  return withBackingOption(resumed, move)(environment);
}

/** Of the service that runs this process, if one does. */
async function endService(
  guest: string,
  { dependencies, context }: CommandEnvironment<MigrateDependencies>,
): Promise<void> {
  const { endMoveService } = await import('../../operations/moves/move-service.ts');
  const { scheduleWorld } = await import('../../operations/schedule/units.ts');
  const worldOf = (isSystem: boolean) => scheduleWorld(isSystem, process.env);
  await endMoveService(guest, dependencies, worldOf, context);
}

/** Throws Failure `usage`, also for a guest that is named twice. */
function readMovingGuests(args: Arguments): string[] | null {
  const given: unknown = args['guests'];
  const names = Array.isArray(given) ? given.map(String) : [];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new Failure('usage', `${twice} is named twice.`, { advice: 'Name each guest once.' });
  return readGuests(args);
}
