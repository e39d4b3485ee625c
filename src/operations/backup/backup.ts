import type { Context } from '../../events.ts';
import { asFailure, Failure, toFailureRecord } from '../../failure.ts';
import { openGuest } from '../unpack/open-guest.ts';
import { backupGuest } from './backup-guest.ts';
import type { BackupDependencies, BackupOptions } from './options.ts';
import { notDoneText, type BackupReport, type GuestBackup } from './backup-report.ts';
import { tellOfEarlierStates } from '../../guest/preflight/earlier-states.ts';
import { warnOfImageOfGuest } from '../../guest/disks/image-of-guest.ts';
import { refuseOtherSource } from './refuse-other-source.ts';
import { refuseSameNames } from '../store-access/stored-names.ts';
import { requireWritable } from './require-writable.ts';
import type { StoreSession } from '../store-access/store-session.ts';

export interface BackupRequest extends BackupOptions {
  /** Names of guests, and paths: of images that no guest uses, of archives, and of compressed images. */
  guests: readonly string[];
  /** The guest's name in the store, if it is not its own; only for a single guest. */
  name: string | null;
}

/**
 * Makes a snapshot of each guest, one after the other. If one fails, the others are still backed up,
 * unless it was left down (`guest-left-down`), because the next guest might not start again either. Throws
 * the first failure when there is no new snapshot at all, and when interrupted.
 */
export async function backup(
  request: BackupRequest,
  session: StoreSession,
  dependencies: BackupDependencies,
  context: Context,
): Promise<BackupReport> {
  const done: GuestBackup[] = [];
  const failed: { guest: string; failure: Failure }[] = [];
  for (const [index, name] of request.guests.entries()) {
    try {
      done.push(await backupOne(name, request, session, dependencies, context));
    } catch (error) {
      const failure = asFailure(error);
      if (context.signal.aborted || request.guests.length === 1) throw error;
      failed.push({ guest: name, failure });
      context.report({
        type: 'warning',
        code: 'other',
        message: notDoneText(name, failure),
      });
      if (failure.code === 'guest-left-down') {
        failed.push(...request.guests.slice(index + 1).map((guest) => notBegun(guest, name)));
        break;
      }
    }
  }
  const [first] = failed;
  if (done.length === 0 && first !== undefined)
    throw (failed.find(({ failure }) => failure.code === 'guest-left-down') ?? first).failure;
  return {
    type: 'backed-up',
    store: session.store.location,
    guests: done,
    failed: failed.map(({ guest, failure }) => ({ guest, ...toFailureRecord(failure) })),
  };
}

function notBegun(guest: string, down: string): { guest: string; failure: Failure } {
  const message = `Its backup was not started, because ${down} is down.`;
  return { guest, failure: new Failure('guest-left-down', message) };
}

async function backupOne(
  name: string,
  request: BackupRequest,
  session: StoreSession,
  dependencies: BackupDependencies,
  context: Context,
): Promise<GuestBackup> {
  refuseSameNames(name, request.guests, 'Back up each one separately, with --name NAME.');
  await using opened = await openGuest(name, request, dependencies, context);
  const { guest } = opened;
  if (guest.definition.disks.length === 0)
    throw new Failure('guest-unsupported', `${name} has no disk to back up.`);
  await warnOfImageOfGuest(guest, dependencies, context);
  tellOfEarlierStates(guest, context);
  const folder = session.folder(request.name ?? guest.definition.name);
  const before = await folder.snapshotIds(context.signal);
  await session.saw(new Map([[folder.guest, before]]), context);
  // Checked before the guest has to stand still or to halt.
  const { machine, now } = dependencies;
  if (!request.adopt) await refuseOtherSource(folder, { guest, machine: machine(), now }, context.signal);
  const hasFolder = before.length > 0 || (await session.guests(context.signal)).includes(folder.guest);
  await requireWritable(folder, hasFolder, context.signal);
  // Images that are removed at the end are no base of the next backup.
  const keepClones = request.keepClones && guest.archived === undefined;
  const options = { ...request, keepClones };
  const job = { guest, folder, store: session.opened, options, dependencies };
  const made = await backupGuest(job, context);
  // All warnings were given above.
  const silent = { ...context, report: () => undefined };
  await session.saw(new Map([[folder.guest, [...before, made.snapshot]]]), silent);
  return made;
}
