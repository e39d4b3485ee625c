import type { Context, Event } from '../../../events.ts';
import { failureOrReason, toFailureRecord, type Failure, type FailureCode } from '../../../failure.ts';
import { surveyRunning } from '../../../guest/survey-guests.ts';
import type { MigrateDependencies } from '../migrate-dependencies.ts';
import type { MigrationReport } from '../migration-report.ts';
import { migrate } from '../migrate.ts';
import { ChunksThere } from '../passes/chunks-there.ts';
import type { MovedGuestsReport, MoveGuestsRequest, PlannedGuestsReport } from './moves-report.ts';
import { preflightGuests } from './preflight-guests.ts';

/** After these a person has to look, before another guest is halted. */
const ENDINGS: readonly FailureCode[] = ['guest-left-down', 'outcome-unknown', 'interrupted'];

/**
 * Moves several guests, each in a transaction of its own (doc/migration.md). Nothing is touched before the preflight of all has
 * found nothing wrong; its Failure has the problems of all. Then they move one after the other. A guest that fails runs on here,
 * and stops the rest, unless told to keep going. Events name their guest.
 */
export async function migrateGuests(
  request: MoveGuestsRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<MovedGuestsReport | PlannedGuestsReport> {
  const { destination, keepGoing, requestFor } = request;
  const names = request.guests ?? (await runningGuests(dependencies, context));
  const heard = new Set<string>();
  const contextOf = (guest: string): Context => ({
    ...context,
    report: (event) => {
      if (isNews(event, guest, heard)) context.report({ ...event, guest });
    },
  });
  const plans = await preflightGuests(names, request, dependencies, contextOf);
  if (request.dryRun) return { type: 'guests-planned', destination, guests: plans };
  const chunksThere = new ChunksThere();
  const moved: MigrationReport[] = [];
  const failed: { guest: string; failure: Failure }[] = [];
  let notBegun: readonly string[] = [];
  for (const [index, guest] of names.entries())
    try {
      const report = await migrate({ ...requestFor(guest), chunksThere }, dependencies, contextOf(guest));
      if (report.type === 'moved') moved.push(report);
    } catch (error) {
      const failure = failureOrReason(error, context.signal);
      failed.push({ guest, failure });
      const advice = failure.advice === undefined ? '' : ` ${failure.advice}`;
      const message = `${guest} was not moved: ${failure.message}${advice}`;
      context.report({ type: 'warning', code: 'other', message, guest });
      if (keepGoing && !context.signal.aborted && !ENDINGS.includes(failure.code)) continue;
      notBegun = names.slice(index + 1);
      break;
    }
  return {
    type: 'guests-moved',
    destination,
    guests: moved,
    failed: failed.map(({ guest, failure }) => ({ guest, ...toFailureRecord(failure) })),
    notBegun,
  };
}

/** By name: `01-database` before `02-web`. Throws the failure of a hypervisor that may hide guests. */
async function runningGuests({ drivers }: MigrateDependencies, context: Context): Promise<string[]> {
  const { running, failures } = await surveyRunning(drivers, context);
  for (const { failure } of failures) throw failure;
  return running
    .map(({ definition }) => definition)
    .toSorted((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }))
    .map(({ driver, name }) =>
      running.filter(({ definition }) => definition.name === name).length > 1 ? `${driver}:${name}` : name,
    );
}

/** What the preflight of all has said of a guest, its own one says again. */
function isNews(event: Event, guest: string, heard: Set<string>): boolean {
  if (event.type !== 'warning' && event.type !== 'notice') return true;
  const key = JSON.stringify([guest, event.type, event.message]);
  const isNew = !heard.has(key);
  heard.add(key);
  return isNew;
}
