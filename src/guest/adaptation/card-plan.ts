import type { GuestDefinition } from '../definition.ts';
import type { GuestSystem } from '../inspection/guest-system.ts';
import { isCardName, type CardName } from './card-names.ts';
import { hasBootWork } from './former-names.ts';

export interface CardPlan {
  cards: readonly CardName[];
  warnings: readonly string[];
}

/**
 * Which card of the new machine must have which name. Under another hypervisor the names follow other slots, and a
 * configuration for `eth0` would find no card. A card is recognised by its MAC address, and a
 * single one also without.
 */
export function planCards(from: GuestDefinition, to: GuestDefinition, system: GuestSystem): CardPlan {
  const newCards = cardsOf(to);
  const names = system.cardNames.filter((name) => isCardName(name));
  const isKept = from.driver === to.driver && !hasBootWork(from.commandLine);
  if (isKept || names.length === 0 || newCards.length === 0) return { cards: [], warnings: [] };
  const cards: CardName[] = [];
  const warnings: string[] = [];
  for (const [index, name] of namesOfCards(names, newCards.length).entries()) {
    const mac = newCards[index]?.mac;
    if (name === null) continue;
    if (system.udev === 'none') {
      if (name !== `eth${index}`)
        warnings.push(unkept(name, 'the guest has no udev that could name the card'));
    } else if (mac === undefined && newCards.length > 1)
      warnings.push(unkept(name, 'the MAC address of the card is not known'));
    else if (mac === undefined || !system.namedMacs.includes(mac)) cards.push({ mac: mac ?? null, name });
  }
  const lost = names.filter((name) => !namesOfCards(names, newCards.length).includes(name));
  warnings.push(...lost.map((name) => unkept(name, 'it is not known which card that is')));
  return { cards, warnings };
}

/** The cards in the guest's order. User Mode Linux has them on the kernel's command line. */
function cardsOf({
  driver,
  commandLine,
  networkCards = [],
}: GuestDefinition): { mac?: string | undefined }[] {
  if (driver !== 'uml') return [...networkCards];
  return commandLine
    .filter((argument) => /^(?:eth\d+=|vec\d+:)/.test(argument))
    .map((argument) => ({
      mac: /(?:^|[,=])((?:[0-9a-f]{2}:){5}[0-9a-f]{2})(?:,|$)/i.exec(argument)?.[1]?.toLowerCase(),
    }));
}

/** For each card the name that the configuration has for it; null if that cannot be told. */
function namesOfCards(names: readonly string[], cardCount: number): (string | null)[] {
  const [only] = names;
  if (cardCount === 1 && names.length === 1 && only !== undefined) return [only];
  return Array.from({ length: cardCount }, (_, index) =>
    names.includes(`eth${index}`) ? `eth${index}` : null,
  );
}

function unkept(name: string, reason: string): string {
  return `The guest's network configuration uses ${name}, which may have another name now: ${reason}.`;
}
