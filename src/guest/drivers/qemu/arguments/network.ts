import type { NetworkCard } from '../../../definition.ts';
import type { QemuOption } from './option-list.ts';
import type { Reading } from './reading.ts';
import { parseSettings, type Settings } from './settings.ts';

/** A network card, with the options that make it. */
export interface FoundCard {
  definition: NetworkCard;
  /** The option with its MAC address. */
  card: QemuOption | null;
  /** The option that attaches it to something. It can be the same. */
  attachment: QemuOption | null;
}

type Attachment = NetworkCard['attachedTo'];

interface Network {
  option: QemuOption;
  attachedTo: Attachment;
}

export interface NetworkDefaults {
  /** The card of a guest whose command line has no network option. */
  model: string;
}

/** The address of the first card that is given none; the next is one higher (net/net.c). */
const FIRST_MAC = '52:54:00:12:34:';
const FIRST_MAC_END = 0x56;

const cardKeys =
  /^(?:driver|netdev|mac|macaddr|id|bus|addr|bootindex|vlan|model|type|name|vectors|mq|rx_queue_size|tx_queue_size|romfile|rombar|host_mtu|multifunction|disable-legacy|disable-modern|acpi-index)$/;

export function readNetwork(reading: Reading, defaults: NetworkDefaults): FoundCard[] {
  const networks = readNetworks(reading);
  const cards: FoundCard[] = [];
  for (const option of reading.options) {
    const found = readCard(option, networks, reading, defaults);
    if (found !== null) cards.push(found);
  }
  const options = reading.all('net', 'netdev', 'nic', 'nodefaults');
  if (options.length === 0 && cards.length === 0)
    cards.push({
      definition: { model: defaults.model, attachedTo: { kind: 'user' } },
      card: null,
      attachment: null,
    });
  return withAddresses(cards);
}

/** A card that has no address gets the one that QEMU gives it: a guest may know its card by it. */
function withAddresses(cards: readonly FoundCard[]): FoundCard[] {
  const used = new Set(cards.map(({ definition }) => definition.mac));
  let end = FIRST_MAC_END;
  const next = (): string => {
    const mac = FIRST_MAC + (end++).toString(16).padStart(2, '0');
    return used.has(mac) ? next() : mac;
  };
  return cards.map((found) => {
    const { mac, ...rest } = found.definition;
    return { ...found, definition: { mac: mac ?? next(), ...rest } };
  });
}

/** Networks by their id, and by their vlan for the options of old versions. */
function readNetworks(reading: Reading): ReadonlyMap<string, Network> {
  const networks = new Map<string, Network>();
  for (const option of reading.all('netdev', 'net')) {
    const settings = parseSettings(option.value, 'type');
    const type = settings.get('type') ?? '';
    if (option.name === 'net' && (type === 'nic' || type === 'none')) continue;
    const id = option.name === 'net' ? vlanOf(settings) : (settings.get('id') ?? '');
    networks.set(id, { option, attachedTo: attachmentOf(type, settings, option, reading) });
  }
  return networks;
}

function vlanOf(settings: Settings): string {
  return settings.get('netdev') ?? `vlan ${settings.get('vlan') ?? 0}`;
}

const networkKeys =
  /^(?:type|id|br|ifname|vlan|model|mac|macaddr|netdev|script|downscript|helper|vhost|queues|name)$/;

function attachmentOf(type: string, settings: Settings, option: QemuOption, reading: Reading): Attachment {
  const unknown = [...settings.keys()].filter((key) => !networkKeys.test(key));
  const attachedTo = plainAttachment(type, settings);
  if (attachedTo.kind === 'other') reading.noteBeyond(option);
  else if (unknown.length > 0) reading.noteBeyond(option, unknown.join(', '));
  return attachedTo;
}

function plainAttachment(type: string, settings: Settings): Attachment {
  const isName = (name: string | undefined) => name !== undefined && /^[A-Za-z0-9][\w.+-]{0,127}$/.test(name);
  const bridge = settings.get('br');
  const device = settings.get('ifname');
  switch (type) {
    case 'user':
      return { kind: 'user' };
    case 'bridge':
      return isName(bridge ?? 'br0') ? { kind: 'bridge', name: bridge ?? 'br0' } : { kind: 'other' };
    case 'tap':
      if (isName(device)) return { kind: 'tap', name: device ?? '' };
      return isName(bridge) ? { kind: 'bridge', name: bridge ?? '' } : { kind: 'other' };
    default:
      return { kind: 'other' };
  }
}

export function isCardDevice(settings: Settings): boolean {
  const driver = settings.get('driver') ?? '';
  return settings.has('netdev') || settings.has('vlan') || cardModels.test(driver);
}

const cardModels = /^(?:virtio-net|e1000|rtl8139|ne2k_|pcnet|i82[58]|vmxnet|usb-net|igb|tulip)/;

function readCard(
  option: QemuOption,
  networks: ReadonlyMap<string, Network>,
  reading: Reading,
  defaults: NetworkDefaults,
): FoundCard | null {
  const settings = parseSettings(option.value, option.name === 'device' ? 'driver' : 'type');
  const noteUnknown = () => {
    const unknown = [...settings.keys()].filter((key) => !cardKeys.test(key));
    if (unknown.length > 0) reading.noteBeyond(option, unknown.join(', '));
  };
  const card = (
    model: string | undefined,
    mac: string | undefined,
    network: Network | undefined,
  ): FoundCard => ({
    definition: {
      ...macOf(mac, option, reading),
      ...(model === undefined ? {} : { model: fullModel(model) }),
      attachedTo: network?.attachedTo ?? { kind: 'other' },
    },
    card: option,
    attachment: network?.option ?? null,
  });
  if (option.name === 'device' && isCardDevice(settings)) {
    noteUnknown();
    return card(
      settings.get('driver'),
      settings.get('mac'),
      networks.get(settings.get('netdev') ?? vlanOf(settings)),
    );
  }
  const type = settings.get('type');
  if (option.name === 'net' && type === 'nic') {
    noteUnknown();
    const model = settings.get('model') ?? defaults.model;
    return card(model, settings.get('macaddr'), networks.get(vlanOf(settings)));
  }
  if (option.name === 'nic' && type !== 'none') {
    const attachedTo = attachmentOf(type ?? '', settings, option, reading);
    return card(settings.get('model') ?? defaults.model, settings.get('mac'), { option, attachedTo });
  }
  return null;
}

/** `-net nic,model=virtio` is the device virtio-net-pci. */
function fullModel(model: string): string {
  return model === 'virtio' || model === 'virtio-net' ? 'virtio-net-pci' : model;
}

function macOf(mac: string | undefined, option: QemuOption, reading: Reading): Pick<NetworkCard, 'mac'> {
  if (mac === undefined) return {};
  const plain = mac.toLowerCase().replaceAll('-', ':');
  if (/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(plain)) return { mac: plain };
  reading.noteBeyond(option, `mac=${mac}`);
  return {};
}
