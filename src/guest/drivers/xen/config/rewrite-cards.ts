import { isDeepStrictEqual } from 'node:util';
import type { GuestDefinition, NetworkCard } from '../../../definition.ts';
import { parseCardSpec } from './card-spec.ts';
import type { TextEdits } from './edits.ts';
import type { Atom } from './parse.ts';
import { quoteForXl } from './scan.ts';
import { cardText, listText } from './write.ts';

/** Changes the network cards that differ, each at its place. If one comes or goes, the list is written anew from the items. */
export function rewriteCards(
  edits: TextEdits,
  items: readonly Atom[],
  from: GuestDefinition,
  to: GuestDefinition,
): void {
  const before = from.networkCards ?? [];
  const wanted = to.networkCards ?? [];
  if (isDeepStrictEqual(before, wanted)) return;
  const texts = wanted.map((card, index) => {
    const [item, old] = [items[index], before[index]];
    if (item === undefined || old === undefined) return cardText(card);
    return isDeepStrictEqual(old, card) ? item.text : changedText(item.text, old, card);
  });
  if (wanted.length !== before.length) {
    edits.set('vif', wanted.length === 0 ? null : listText(texts));
    return;
  }
  for (const [index, text] of texts.entries()) {
    const item = items[index];
    if (item !== undefined && item.text !== text) edits.replace(item, quoteForXl(text));
  }
}

function changedText(text: string, old: NetworkCard, card: NetworkCard): string {
  const settings = new Map(parseCardSpec(text).settings);
  if (card.mac === undefined) settings.delete('mac');
  else settings.set('mac', card.mac);
  if (!isDeepStrictEqual(old.attachedTo, card.attachedTo)) {
    settings.delete('script');
    if (card.attachedTo.kind === 'bridge') settings.set('bridge', card.attachedTo.name);
  }
  if (old.model !== card.model && card.model !== undefined) {
    settings.delete('type');
    settings.delete('model');
    if (card.model !== 'vif') settings.set('model', card.model);
  }
  return [...settings].map(([key, value]) => `${key}=${value}`).join(',');
}
