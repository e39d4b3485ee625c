import type { GuestPrune, PruneReport } from '../../operations/prune/prune-report.ts';
import { formatBytes, formatCount, formatPercentage } from '../format.ts';

const later = 'What is younger than the grace period is freed by a later prune.';

type Reason = GuestPrune['kept'][number]['reasons'][number];

/** @param timeZone that days are told by */
export function pruneText({ guests, dryRun }: PruneReport, timeZone: string): string {
  if (guests.length === 0) return 'The store has no guests: there is nothing to prune.';
  const texts = guests.map((guest) => guestText(guest, dryRun));
  const note = dryRun ? [`Days are those of ${timeZone}. Nothing was changed. ${later}`] : [];
  return [...texts, ...note].join('\n\n');
}

function guestText(guest: GuestPrune, dryRun: boolean): string {
  const { kept, removed, failure } = guest;
  const lines = [
    `${guest.guest}: ${formatCount(kept.length, 'snapshot')} kept, ${formatCount(removed.length, 'snapshot')} removed`,
  ];
  if (dryRun)
    for (const { id, reasons } of kept) lines.push(`  keep    ${id}  ${reasons.map(reasonText).join(', ')}`);
  for (const id of removed) lines.push(`  ${dryRun ? 'remove ' : 'removed'} ${id}`);
  if (failure === null) lines.push(...sizeLines(guest, dryRun));
  else lines.push(`  ${failure.message}`);
  return lines.join('\n');
}

function sizeLines(guest: GuestPrune, dryRun: boolean): string[] {
  const { removed, trashedBytes, freedBytes, rewrittenPacks, neededBytes, wastedBytes, missingChunks } =
    guest;
  const dead = `${formatPercentage(wastedBytes, neededBytes === 0 ? 1 : neededBytes)} of ${formatBytes(neededBytes)} is dead`;
  const lines = dryRun
    ? [
        `  would free ${formatBytes(trashedBytes + freedBytes)}, of which ${formatBytes(freedBytes)} are in the trash`,
        `  ${dead}; packs to be written anew: ${rewrittenPacks}`,
      ]
    : [
        removed.length > 0 && trashedBytes + freedBytes === 0
          ? `  Nothing is freed yet. ${later}`
          : `  freed ${formatBytes(freedBytes)}; to the trash, for a later prune to delete: ${formatBytes(trashedBytes)}`,
        ...(rewrittenPacks === 0 ? [] : [`  ${dead} before; packs written anew: ${rewrittenPacks}`]),
      ];
  if (missingChunks > 0) lines.push(`  chunks that are lost: ${missingChunks}; see vmferry verify`);
  return lines;
}

function reasonText(reason: Reason): string {
  switch (reason.rule) {
    case 'newest':
      return 'the newest of all';
    case 'last':
      return 'one of the last';
    case 'within':
      return 'not older than that';
    case 'protected':
      return 'protected';
    case 'future':
      return 'dated in the future';
    case 'hourly':
      return `of the hour ${reason.period}`;
    case 'daily':
      return `of the day ${reason.period}`;
    case 'weekly':
      return `of the week ${reason.period}`;
    case 'monthly':
      return `of the month ${reason.period}`;
    case 'yearly':
      return `of the year ${reason.period}`;
  }
}
