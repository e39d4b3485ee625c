import { readFile } from 'node:fs/promises';
import type { GuestDefinition } from '../../../guest/definition.ts';
import { cardsOf } from '../../../guest/preflight/check-network.ts';

const MOST_ADDRESSES = 4;

/**
 * The IPv4 addresses that this machine's kernel knows for the guest's cards, from its table of neighbours. Empty if the guest has no
 * card with a known MAC address, or if this machine has not spoken with it for some minutes.
 */
export async function findGuestAddresses(
  definition: GuestDefinition,
  table = '/proc/net/arp',
): Promise<string[]> {
  const macs = cardsOf(definition).flatMap(({ mac }) => mac ?? []);
  if (macs.length === 0) return [];
  const text = await readFile(table, 'utf8').catch(() => '');
  return addressesOf(macs, text);
}

const COMPLETE = 0x2;

/** @param table the text of /proc/net/arp (see proc_net(5)): address, type, flags, MAC address, mask, device */
export function addressesOf(macs: readonly string[], table: string): string[] {
  const found = table.split('\n').flatMap((line) => {
    const [address = '', , flags = '', mac = ''] = line.trim().split(/\s+/);
    const isKnown = (Number(flags) & COMPLETE) !== 0 && macs.includes(mac.toLowerCase());
    return isKnown && /^[0-9.]+$/.test(address) ? [address] : [];
  });
  return [...new Set(found)].slice(0, MOST_ADDRESSES);
}
