import type { GuestPrune, PruneReport } from '../../operations/prune/prune-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatCount, formatPercentage } from '../terminal/format.ts';

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
        `  would free ${formatBytes(trashedBytes + freedBytes)} in time: ${formatBytes(freedBytes)} are in the trash already, ${formatBytes(trashedBytes)} would go there first`,
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
  if (missingChunks > 0) lines.push(`  chunks that are lost: ${missingChunks}; see vmferry verify`);
  return lines;
}

/** What is in the trash still takes its room: it is not called freed. */
function freedLines({ removed, trashedBytes, freedBytes }: GuestPrune): string[] {
  if (removed.length > 0 && trashedBytes + freedBytes === 0) return [`  Nothing is freed yet. ${later}`];
  return [
    `  freed: ${formatBytes(freedBytes)}`,
    ...(trashedBytes === 0
      ? []
      : [
          `  moved to the trash: ${formatBytes(trashedBytes)}, which take their room until a later prune deletes them`,
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
