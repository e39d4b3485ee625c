import type { Context } from '../../events.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { rateAt } from '../../rate-limit.ts';
import { levelToEstimateWith } from '../../transfer/compression-level.ts';
import { warnOfDoubtfulFileSystems } from '../../transfer/file-system-warnings.ts';
import { diskAccount } from '../../transfer/source-disk.ts';
import { conversionAccount } from './conversion/account.ts';
import {
  estimateDowntimeSeconds,
  estimateWarmDowntimeSeconds,
  expectedReadBytes,
  measureLine,
  sampleCompression,
} from './estimate.ts';
import type { MigrationPlan } from './migration-report.ts';
import { isWarm } from './passes/is-warm.ts';
import { WriteRecorder } from './passes/write-recorder.ts';
import type { Move } from './preflight.ts';
import { sampleShared } from './sample-shared.ts';

/**
 * Predicts a move, from samples of the image and of the line.
 * @param earlier raw images that are on the new hardware, raw again, before it
 */
export async function planMigration(
  move: Move,
  earlier: readonly string[],
  context: Context,
): Promise<MigrationPlan> {
  const { request, dependencies, guest, places, devices, there, fixups, disks, line } = move;
  const mostReadBytes = disks.reduce((sum, disk) => sum + disk.readBytes, 0);
  const readBytes =
    guest.running === null || request.everyBlock
      ? mostReadBytes
      : disks.reduce((sum, disk) => sum + expectedReadBytes(disk), 0);
  if (guest.running === null && !request.everyBlock)
    for (const disk of disks) warnOfDoubtfulFileSystems(disk, context);
  const compressed = await sampleCompression(
    disks,
    dependencies.pool,
    levelToEstimateWith(request.compression),
  );
  const shared = line.receiver.canTake ? await sampleShared(disks, earlier, context) : 0;
  const sample = compressed && { ...compressed, ratio: compressed.ratio * (1 - shared) };
  const { limitRate = null } = request;
  const rate = limitRate === null ? null : rateAt(limitRate, new Date());
  const lineBytesPerSecond = await measureLine(line.receiver, rate, context.signal);
  const willBoot = !isImageOnly(guest.definition);
  const warm = isWarm({ request, guest });
  const isRecorded = warm && (await WriteRecorder.for(move)) !== null;
  const isDown = guest.running === null || sample === null;
  return {
    type: 'plan',
    guest: guest.definition.name,
    destination: request.target.destination,
    willHalt: guest.running !== null,
    willBoot,
    warm,
    ...conversionAccount(there, fixups),
    devices,
    disks: disks.map((disk, index) => diskAccount(disk, places[index]?.path ?? '')),
    estimatedSendBytes: sample === null ? null : Math.round(readBytes * sample.ratio),
    mostSendBytes: sample === null ? null : Math.round(mostReadBytes * sample.ratio),
    estimatedDowntimeSeconds: isDown
      ? null
      : warm
        ? estimateWarmDowntimeSeconds(disks, isRecorded, sample, lineBytesPerSecond)
        : estimateDowntimeSeconds(readBytes, sample, lineBytesPerSecond),
    warnings: [],
  };
}
