import type { Context } from '../../events.ts';
import { combineFailures, Failure, toFailureRecord } from '../../failure.ts';
import type { GuestDone, RunFigures } from '../reports/run-record.ts';
import { damageOfOneGuest } from '../store-access/damage-of-one-guest.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { chosenGuests } from '../store-access/chosen-guests.ts';
import type { StoreSession } from '../store-access/store-session.ts';
import { verifyGuest, type VerifyGuestDependencies } from './verify-guest.ts';
import type { BootVerdict, GuestVerdict, VerifyReport } from './verify-report.ts';

export interface VerifyRequest {
  /** Null: all guests of the store. */
  guest: string | null;
  /** How much of the packs' bytes to read: 0 to 100. */
  readPercent: number;
  /** Null: boot nothing. */
  boot: BootCheck | null;
}

/** A snapshot to restore, boot and delete again. */
export interface BootCheck {
  guest: string;
  run: () => Promise<BootVerdict>;
}

/** `failure`: why the store is not sound (`store-damaged`), or why a snapshot did not boot. */
export interface VerifyResult {
  report: VerifyReport;
  failure: Failure | null;
}

/**
 * Verifies the snapshots of a store. Throws Failure `snapshot-missing` if the store has no backups of that guest, and what
 * reading from the store throws. Damage is returned, not thrown.
 * @param guestDone called for each guest once it was verified, and again for the guest that was booted
 */
export async function verifyStore(
  request: VerifyRequest,
  session: StoreSession,
  dependencies: VerifyGuestDependencies,
  guestDone: GuestDone,
  context: Context,
): Promise<VerifyResult> {
  const startedMs = performance.now();
  const { boot } = request;
  const guests = await chosenGuests(request.guest, session, context.signal);
  const verdicts: GuestVerdict[] = [];
  const notVerified: Failure[] = [];
  for (const guest of guests)
    try {
      const verdict = await verifyOne(guest, request.readPercent, session, dependencies, context);
      verdicts.push(verdict);
      guestDone(guest, figuresOf(verdict, request.readPercent > 0));
    } catch (error) {
      if (guests.length === 1) throw error;
      notVerified.push(damageOfOneGuest(error, context.signal));
      guestDone(guest, { isVerified: false, hasFailed: true });
    }
  const booted = await attempt(boot, context);
  const bootFailure = booted instanceof Failure ? booted : null;
  if (boot !== null) {
    const verdict = verdicts.find(({ guest }) => guest === boot.guest);
    const figures = verdict === undefined ? { isVerified: true } : figuresOf(verdict, true);
    guestDone(
      boot.guest,
      bootFailure === null ? figures : { ...figures, isVerified: false, hasFailed: true },
    );
  }
  const failure = combined([...notVerified, damageFailure(session.store.location, verdicts), bootFailure]);
  return {
    report: {
      type: 'verified',
      store: session.store.location,
      guests: verdicts,
      boot: booted instanceof Failure ? null : booted,
      bootFailure: bootFailure === null ? null : toFailureRecord(bootFailure),
      isDamaged: notVerified.length > 0 || !verdicts.every(isSound),
      seconds: (performance.now() - startedMs) / 1000,
    },
    failure,
  };
}

/** @param isProof whether data was read or booted, not only looked for */
function figuresOf(verdict: GuestVerdict, isProof: boolean): RunFigures {
  const sound = isSound(verdict);
  return { readBytes: verdict.read.bytes, isVerified: sound && isProof, hasFailed: !sound };
}

/** Returns the failure of a snapshot that does not boot, so that the other findings are reported as well. */
async function attempt(boot: BootCheck | null, { signal }: Context): Promise<BootVerdict | Failure | null> {
  try {
    return boot === null ? null : await boot.run();
  } catch (error) {
    if (signal.aborted || !(error instanceof Failure)) throw error;
    return error;
  }
}

function combined(failures: readonly (Failure | null)[]): Failure | null {
  const [first, ...others] = failures.filter((failure) => failure !== null);
  return first === undefined ? null : combineFailures([first, ...others]);
}

async function verifyOne(
  guest: string,
  readPercent: number,
  session: StoreSession,
  dependencies: VerifyGuestDependencies,
  context: Context,
): Promise<GuestVerdict> {
  const folder = session.folder(guest);
  await session.saw(new Map([[guest, await folder.snapshotIds(context.signal)]]), context);
  const options = { sealKey: session.opened.key, readPercent };
  return runStage(
    context,
    'check',
    `checking the snapshots of ${guest}`,
    () => verifyGuest(folder, options, dependencies, context),
    (verdict) => `checked ${guest}: ${isSound(verdict) ? 'no damage' : 'there is damage'}`,
  );
}

/** Null if nothing is damaged. */
function damageFailure(store: string, guests: readonly GuestVerdict[]): Failure | null {
  const damaged = guests.filter((verdict) => !isSound(verdict));
  if (damaged.length === 0) return null;
  const names = damaged.map(({ guest }) => guest).join(', ');
  const lost = damaged.flatMap((verdict) => verdict.damaged).length;
  const whatOf =
    lost === 0
      ? 'All snapshots can still be restored.'
      : `${lost} of ${damaged.reduce((sum, { snapshots }) => sum + snapshots, 0)} snapshots cannot be restored in full.`;
  const advice =
    lost === 0
      ? 'Check the disk that the store is on.'
      : `The next backup of ${names} sends the missing data again, if the images still have it. \`vmferry restore --allow-missing\` restores everything else. Check the disk that the store is on.`;
  return new Failure('store-damaged', `The store ${store} is damaged in the backups of ${names}. ${whatOf}`, {
    advice,
  });
}

function isSound({ problems, damaged }: GuestVerdict): boolean {
  return problems.length === 0 && damaged.length === 0;
}
