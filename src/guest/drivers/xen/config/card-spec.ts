/* A network card in a configuration for xl: xl-network-configuration(5). */

export interface CardSpec {
  /** By key, in their order, each with what it is set to. A later one with the same key wins. */
  settings: ReadonlyMap<string, string>;
}

/** Why xl ignores a part of the text. */
export class CardSpecError extends Error {}

const keys = [
  'type',
  'mac',
  'bridge',
  'netdev',
  'gatewaydev',
  'ip',
  'script',
  'backend',
  'vifname',
  'model',
  'rate',
  'devid',
  'trusted',
  'forwarddev',
  'accel',
];

const MOST_CHARACTERS = 8_192;

/** Reads one item of the list `vif`. Throws CardSpecError for what xl passes over without a word. */
export function parseCardSpec(text: string): CardSpec {
  if (text.length > MOST_CHARACTERS) throw new CardSpecError('it is too long');
  const settings = new Map<string, string>();
  for (const part of text.split(',')) {
    // xl skips blanks before a setting alone.
    const setting = part.replace(/^ +/, '');
    if (setting === '') {
      if (part === '') continue;
      throw new CardSpecError('it has a part of blanks only');
    }
    const sign = setting.indexOf('=');
    const key = setting.slice(0, Math.max(0, sign));
    if (sign < 0 || !(keys.includes(key) || key.startsWith('colo_')))
      throw new CardSpecError(`xl ignores “${setting}”`);
    settings.set(key, setting.slice(sign + 1));
  }
  const type = settings.get('type');
  if (type !== undefined && type !== 'vif' && type !== 'ioemu')
    throw new CardSpecError(`the type ${type} is unknown`);
  const mac = settings.get('mac');
  if (mac !== undefined) settings.set('mac', normalMac(mac));
  return { settings };
}

/** Six pairs of lower-case digits. xl takes single digits and any character between them. */
function normalMac(text: string): string {
  if (!/^[\da-f]{1,2}(?:[:.-][\da-f]{1,2}){5}$/i.test(text))
    throw new CardSpecError(`${text} is not a MAC address`);
  const pairs = text.toLowerCase().split(/[:.-]/);
  return pairs.map((pair) => pair.padStart(2, '0')).join(':');
}
