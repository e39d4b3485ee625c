import type { Context } from '../events.ts';
import { failureOrReason, type Failure } from '../failure.ts';
import type { DriverKind } from './definition.ts';
import { isKeepingDriver, type GuestDriver, type KeptGuest, type RunningGuest } from './guest-driver.ts';

/** The guests that the hypervisors of this machine know. */
export interface GuestSurvey {
  running: readonly RunningGuest[];
  /** Those that do not run. */
  kept: readonly KeptGuest[];
  /** Hypervisors that could not be asked. Their guests are missing above. */
  failures: readonly { driver: DriverKind; failure: Failure }[];
}

/** Asks all drivers. One that fails hides no other's guests. */
export async function surveyGuests(drivers: readonly GuestDriver[], context: Context): Promise<GuestSurvey> {
  const kept: KeptGuest[] = [];
  const { running, failures } = await surveyRunning(drivers, context, async (driver) => {
    if (isKeepingDriver(driver)) kept.push(...(await driver.listKept(context)));
  });
  return { running, kept, failures };
}

/** The same for the guests that run. @param also what else is asked of each driver */
export async function surveyRunning(
  drivers: readonly GuestDriver[],
  context: Context,
  also: (driver: GuestDriver) => Promise<void> = () => Promise.resolve(),
): Promise<Omit<GuestSurvey, 'kept'>> {
  const running: RunningGuest[] = [];
  const failures: { driver: DriverKind; failure: Failure }[] = [];
  for (const driver of drivers)
    try {
      running.push(...(await driver.list(context)));
      await also(driver);
    } catch (error) {
      context.signal.throwIfAborted();
      failures.push({ driver: driver.kind, failure: failureOrReason(error, context.signal) });
    }
  return { running, failures };
}
