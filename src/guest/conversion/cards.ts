import { Failure } from '../../failure.ts';
import type { HypervisorKind } from '../definition-language.ts';
import type { GuestDefinition, NetworkCard } from '../definition.ts';
import { describeAttached, type AttachedTo, type ConversionTarget } from './choices.ts';
import type { Ledger } from './ledger.ts';

/** The bridge that xl uses when none is named (xl.conf, vif.default.bridge). */
const XEN_BRIDGE = 'xenbr0';

/** The cards with what was chosen for them. Throws Failure `usage` for a card that the guest does not have. */
export function attachCards(
  cards: readonly NetworkCard[],
  { choices }: ConversionTarget,
  ledger: Ledger,
): { card: NetworkCard; isChosen: boolean }[] {
  const attached = cards.map((card) => ({ card, isChosen: false }));
  for (const [name, attachedTo] of choices.networks ?? []) {
    const index = findCard(cards, name);
    const card = cards[index];
    if (card === undefined) {
      const known = cards
        .map(({ mac }, place) => `eth${place}${mac === undefined ? '' : ` (${mac})`}`)
        .join(', ');
      throw new Failure(
        'usage',
        `The guest has no network card ${name}. It has ${known === '' ? 'none' : known}.`,
      );
    }
    attached[index] = { card: { ...card, attachedTo }, isChosen: true };
    ledger.changes.push(
      `The card ${nameOf(card, index)} is attached to ${describeAttached(attachedTo)}, instead of ${describeAttached(card.attachedTo)}.`,
    );
  }
  return attached;
}

function findCard(cards: readonly NetworkCard[], name: string): number {
  const [, index] = /^(?:eth|vec)(\d+)$/.exec(name) ?? [];
  return index === undefined ? cards.findIndex(({ mac }) => mac === name.toLowerCase()) : Number(index);
}

export function nameOf({ mac }: NetworkCard, index: number): string {
  return `eth${index}${mac === undefined ? '' : ` (${mac})`}`;
}

export function convertCards(
  cards: readonly NetworkCard[],
  target: ConversionTarget,
  { virtualization, boot = 'kernel' }: Pick<GuestDefinition, 'virtualization' | 'boot'>,
  ledger: Ledger,
): NetworkCard[] {
  return attachCards(cards, target, ledger).map(({ card, isChosen }, index) => {
    const name = nameOf(card, index);
    const attachedTo = attachmentFor(target.driver, card.attachedTo, isChosen, name, ledger);
    const isEmulated = virtualization === 'hvm';
    const model = modelFor(target, { isEmulated, boot }, card.model, name, ledger);
    const { model: _model, ...rest } = card;
    return { ...rest, ...(model === undefined ? {} : { model }), attachedTo };
  });
}

function attachmentFor(
  driver: HypervisorKind,
  attachedTo: AttachedTo,
  isChosen: boolean,
  name: string,
  ledger: Ledger,
): AttachedTo {
  const known: Readonly<Record<HypervisorKind, readonly AttachedTo['kind'][]>> = {
    uml: ['bridge', 'tap', 'user'],
    qemu: ['bridge', 'tap', 'user'],
    libvirt: ['bridge', 'tap', 'user', 'network'],
    xen: ['bridge'],
  };
  if (known[driver].includes(attachedTo.kind)) return attachedTo;
  const [had, has] = [describeAttached(attachedTo), describeAttached(substitutes[driver])];
  if (isChosen) throw new Failure('usage', `A guest of ${driver} cannot be attached to ${had}.`);
  ledger.losses.push(
    `The card ${name} was attached to ${had}, which ${driver} does not have. It is attached to ${has} instead.`,
  );
  return substitutes[driver];
}

/** What needs least of the new machine. */
const substitutes: Readonly<Record<HypervisorKind, AttachedTo>> = {
  uml: { kind: 'user' },
  qemu: { kind: 'user' },
  libvirt: { kind: 'network', name: 'default' },
  xen: { kind: 'bridge', name: XEN_BRIDGE },
};

/**
 * Undefined for the card that the hypervisor gives by itself. That of libvirt is an old one: a kernel from the new machine drives
 * virtio, as for the disks.
 */
function modelFor(
  { driver, choices }: ConversionTarget,
  guest: { isEmulated: boolean; boot: NonNullable<GuestDefinition['boot']> },
  model: string | undefined,
  name: string,
  ledger: Ledger,
): string | undefined {
  const isQemu = driver === 'qemu' || driver === 'libvirt';
  const isEmulated = isQemu || guest.isEmulated;
  const hasDriver = (one: string) => choices.cardModels?.includes(one) ?? true;
  if (isEmulated && model !== undefined && emulated(isQemu).test(model) && hasDriver(model)) return model;
  const offered = choices.cardModels ?? (guest.boot === 'kernel' ? ['virtio-net-pci'] : []);
  const chosen = isQemu ? offered.find((one) => emulated(isQemu).test(one)) : undefined;
  if (model !== undefined || chosen !== undefined)
    ledger.changes.push(
      `The card ${name}${model === undefined ? '' : `, model ${model},`} becomes ${chosen === undefined ? `the usual card of ${driver}` : `model ${chosen}`}.`,
    );
  return chosen;
}

function emulated(isQemu: boolean): RegExp {
  return isQemu ? /^(?!vif$|netfront$)/ : /^(?:e1000|rtl8139)$/;
}
