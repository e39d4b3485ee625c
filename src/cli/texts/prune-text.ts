import type { GuestPrune, PruneReport } from '../../operations/prune/prune-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatCount, formatPercentage } from '../terminal/format.ts';

const later = 'A later prune frees data that is still within the grace period.';

type Reason = GuestPrune['kept'][number]['reasons'][number];

/** @param timeZone of the days */
export function pruneText({ guests, dryRun }: PruneReport, timeZone: string): string {
  if (guests.length === 0) return 'The store has no guests: there is nothing to prune.';
  const texts = guests.map((guest) => guestText(guest, dryRun));
  const note = dryRun ? [`Days are in the time zone ${timeZone}. Nothing was changed. ${later}`] : [];
  return [...texts, ...note].join('\n\n');
}

function guestText(guest: GuestPrune, dryRun: boolean): string {
  const { kept, removed, failure } = guest;
  const [keptText, removedText] = dryRun ? ['would be kept', 'would be removed'] : ['kept', 'removed'];
  const lines = [
    `${guest.guest}: ${formatCount(kept.length, 'snapshot')} ${keptText}, ${formatCount(removed.length, 'snapshot')} ${removedText}`,
  ];
  if (dryRun)
    for (const { id, reasons } of kept)
      lines.push(`  would keep    ${id}  ${reasons.map(reasonText).join(', ')}`);
  for (const id of removed) lines.push(`  ${dryRun ? 'would remove ' : 'removed'} ${id}`);
  if (failure === null) lines.push(...sizeLines(guest, dryRun));
  else lines.push(`  ${failure.message}`);
  return lines.join('\n');
}

function sizeLines(guest: GuestPrune, dryRun: boolean): string[] {
  const { trashedBytes, freedBytes, rewrittenPacks, missingChunks } = guest;
  const lines = dryRun
    ? [
        `  would free ${formatBytes(trashedBytes + freedBytes)}: ${formatBytes(freedBytes)} from the trash now, ${formatBytes(trashedBytes)} later, after moving it to the trash`,
        wasteLine(
          guest,
          rewrittenPacks === 0
            ? 'too little to repack'
            : `${formatCount(rewrittenPacks, 'pack')} would be repacked`,
        ),
      ]
    : [
        ...freedLines(guest),
        ...(rewrittenPacks === 0
          ? []
          : [wasteLine(guest, `${formatCount(rewrittenPacks, 'pack')} repacked`)]),
      ];
  if (missingChunks > 0) lines.push(`  lost chunks: ${missingChunks}; see vmferry verify`);
  return lines;
}

/** Data in the trash still takes space, so it does not count as freed. */
function freedLines({ removed, trashedBytes, freedBytes }: GuestPrune): string[] {
  if (removed.length > 0 && trashedBytes + freedBytes === 0) return [`  Nothing freed yet. ${later}`];
  return [
    `  freed: ${formatBytes(freedBytes)}`,
    ...(trashedBytes === 0
      ? []
      : [
          `  moved to the trash: ${formatBytes(trashedBytes)}; a later prune deletes this and frees the space`,
        ]),
  ];
}

function wasteLine({ neededBytes, wastedBytes }: GuestPrune, consequence: string): string {
  const share = formatPercentage(wastedBytes, neededBytes === 0 ? 1 : neededBytes);
  return `  ${share} of the ${formatBytes(neededBytes)} in packs are no longer needed (${consequence})`;
}

function reasonText(reason: Reason): string {
  switch (reason.rule) {
    case 'newest':
      return 'the newest';
    case 'last':
      return 'among the last';
    case 'within':
      return 'young enough';
    case 'protected':
      return 'protected';
    case 'future':
      return 'dated in the future';
    case 'hourly':
    case 'daily':
    case 'weekly':
    case 'monthly':
    case 'yearly':
      return `${reason.rule}: ${reason.period}`;
  }
}
