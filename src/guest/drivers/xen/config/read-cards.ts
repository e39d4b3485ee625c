import type { GuestDefinition, NetworkCard } from '../../../definition.ts';
import { CardSpecError, parseCardSpec, type CardSpec } from './card-spec.ts';
import type { ReadPart } from './read-part.ts';
import type { Settings } from './settings.ts';

/** xl's bridge when neither the guest's file nor xl.conf names one. */
const usualBridge = 'xenbr0';
const usualScripts = ['vif-bridge', '/etc/xen/scripts/vif-bridge', 'vif-openvswitch'];
const carried = ['mac', 'bridge', 'model', 'type', 'script'];

/** The network cards. */
export function readCards(
  settings: Settings,
  isHvm: boolean,
): ReadPart<Pick<GuestDefinition, 'networkCards'>> {
  const cards: NetworkCard[] = [];
  const beyond: string[] = [];
  for (const item of settings.atoms('vif')) {
    try {
      const spec = parseCardSpec(item.text);
      cards.push(cardOf(spec, isHvm));
      beyond.push(
        ...beyondOf(spec, isHvm).map((setting) => `line ${item.line}: ${setting} of a network card`),
      );
    } catch (error) {
      if (!(error instanceof CardSpecError)) throw error;
      settings.complain(item.line, `the network card “${item.text}”: ${error.message}`);
    }
  }
  return { fields: cards.length === 0 ? {} : { networkCards: cards }, understood: ['vif'], beyond };
}

function cardOf({ settings }: CardSpec, isHvm: boolean): NetworkCard {
  const mac = settings.get('mac');
  const script = settings.get('script') ?? '';
  const isBridged = script === '' || usualScripts.includes(script);
  const name = settings.get('bridge') ?? usualBridge;
  const isPlain = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(name);
  return {
    ...(mac === undefined ? {} : { mac }),
    model: modelOf(settings, isHvm),
    attachedTo: isBridged && isPlain ? { kind: 'bridge', name } : { kind: 'other' },
  };
}

/** Without hardware emulation a card is always Xen's own; with it, xl's usual one is an RTL8139. */
function modelOf(settings: CardSpec['settings'], isHvm: boolean): string {
  if (!isHvm || settings.get('type') === 'vif') return 'vif';
  const model = settings.get('model') ?? '';
  return /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(model) ? model : 'rtl8139';
}

function beyondOf({ settings }: CardSpec, isHvm: boolean): string[] {
  return [...settings]
    .filter(([key, value]) => {
      if (key === 'script') return !usualScripts.includes(value) && value !== '';
      if (key === 'bridge') return !/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(value);
      if (key === 'model') return !isHvm && value !== 'vif';
      return !carried.includes(key);
    })
    .map(([key, value]) => `${key}=${value}`);
}
