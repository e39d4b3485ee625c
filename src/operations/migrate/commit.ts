import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { describeMove, noCommandAdvice, type GuestMove, type GuestRecord } from '../../guest/guest-record.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import { findOldBootFiles } from '../../guest/boot-menu/old-boot-files.ts';
import { deleteImages, findOldImages } from '../../guest/disks/old-images.ts';
import { withReceiver, type MachineThere } from './receiver-there.ts';

export interface CommitReport {
  type: 'committed';
  guest: string;
  /** The new hardware, as it was typed. */
  destination: string;
  /** The images that stay here. */
  images: readonly string[];
  /** The images that were deleted here, and the files that were made to boot the guest. */
  deleted: readonly string[];
}

/**
 * Ends the way back of a move, after a look that the guest runs on the new hardware. May be called again. Throws Failure `guest-not-found`, `guest-fenced` for a move
 * that has not ended, `guest-not-running`, and what `findOldImages` throws.
 * @param deleteSource whether the guest's images here are deleted, and the files that were made to boot it
 */
export async function commitMove(
  guest: string,
  deleteSource: boolean,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<CommitReport> {
  const { records } = dependencies;
  const { record, move } = requireMoved(guest, await records.read(guest));
  const { definition } = record;
  const old = deleteSource ? await findOldImages(definition, dependencies, context) : null;
  const made = dependencies.bootFilesOf(definition.name);
  const bootFiles = deleteSource ? await findOldBootFiles(definition, made, dependencies, context) : [];
  const { destination } = move;
  const isRunning = await runStage(
    context,
    'check',
    `looking whether ${guest} runs on ${destination}`,
    () =>
      withReceiver(move, dependencies, context, async (receiver) => {
        const look = { type: 'look', name: definition.name } as const;
        return (await receiver.request(look, 'seen', context.signal)).isRunning;
      }),
    (runs) => `${guest} ${runs ? 'runs' : 'does not run'} on ${destination}`,
  );
  if (!isRunning)
    throw new Failure(
      'guest-not-running',
      `${guest} does not run on ${destination}. The way back stays open.`,
      { advice: `Start it there, and commit then. Or take the move back: vmferry revert ${guest}` },
    );
  // Another vmferry may have taken the move back meanwhile.
  const now = requireMoved(guest, await records.read(guest));
  const committedAt = now.move.committedAt ?? new Date().toISOString();
  await records.write({ ...now.record, move: { ...now.move, committedAt } });
  const deleted = [...(old?.files ?? []), ...bootFiles];
  await deleteImages(deleted);
  const images = old === null ? definition.disks.map(({ path }) => path) : old.others;
  return { type: 'committed', guest, destination, images, deleted };
}

function requireMoved(
  guest: string,
  record: GuestRecord | null,
): { record: GuestRecord; move: GuestMove & MachineThere } {
  const move = record?.move;
  if (record === null || move === undefined)
    throw new Failure('guest-not-found', `${guest} was not moved away from here by vmferry.`, {
      advice: 'See which moves are known here: vmferry migrations',
    });
  refuseWhileMoved(record);
  const { remoteCommand } = move;
  if (record.state !== 'moved')
    throw new Failure('guest-fenced', `${guest} is ${describeMove(record)}.`, {
      advice: `Take it back: vmferry revert ${guest}. Or move it again.`,
    });
  if (remoteCommand === null)
    throw new Failure('guest-fenced', `${guest} was ${describeMove(record)}.`, {
      advice: noCommandAdvice(guest, move),
    });
  return { record, move: { ...move, remoteCommand } };
}
