import { Failure } from '../../failure.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { isViewingDriver, type RunningGuest } from '../../guest/guest-driver.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { HoldMethod } from '../../hold/still-guest.ts';
import { refuseUncloneable } from '../../image/clones/clone.ts';
import type { Move } from '../migrate/preflight.ts';
import type { RehearseRequest } from './rehearsal-report.ts';

/** The guest that runs. Throws Failure for everything that can be moved and not be rehearsed. */
export function requireRehearsable({ guest, devices }: Pick<Move, 'guest' | 'devices'>): RunningGuest {
  const { name } = guest.definition;
  if (isImageOnly(guest.definition))
    throw new Failure(
      'guest-unsupported',
      `${name} is an image that no guest uses: there is nothing to boot.`,
    );
  if (guest.running === null)
    throw new Failure('guest-not-running', `${name} does not run: a rehearsal is of a guest that runs.`, {
      advice: `Start it first: vmferry start ${name}. Or move it: a move boots it there, and takes it back if that fails.`,
    });
  const [device] = devices;
  if (device !== undefined)
    throw new Failure(
      'guest-unsupported',
      `${device.path} is a block device: a rehearsal needs a file there.`,
      {
        advice: 'Name a file in its place (--disk NAME=PATH), or omit --disk.',
      },
    );
  return guest.running;
}

/**
 * How the guest is held still for the last pass: clones stop it for milliseconds. Throws Failure `guest-unsupported` if only a pause can do
 * it, and none is allowed.
 */
export function chooseHold(
  { definition }: RunningGuest,
  { mayPause }: Pick<RehearseRequest, 'mayPause'>,
  { drivers }: Pick<Move['dependencies'], 'drivers'>,
): Extract<HoldMethod, 'clone' | 'pause'> {
  // It shows the disks while the guest runs.
  if (isViewingDriver(requireDriver(drivers, definition.driver))) return mayPause ? 'pause' : 'clone';
  try {
    for (const { path, readOnly } of definition.disks) if (!readOnly) refuseUncloneable(path);
    return 'clone';
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'guest-unsupported') throw error;
    if (mayPause) return 'pause';
    throw new Failure('guest-unsupported', error.message, {
      advice: `--pause stops ${definition.name} during the last pass, while all of its disks are read. On XFS and btrfs it stops for milliseconds.`,
      cause: error,
    });
  }
}
