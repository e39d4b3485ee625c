import type { Element } from '@xmldom/xmldom';
import { attributeOf, textOf } from '../xml/elements.ts';

/** libvirt's units: https://libvirt.org/formatdomain.html#memory-allocation. Case does not matter. */
const bytesByUnit: Readonly<Record<string, number>> = {
  b: 1,
  byte: 1,
  bytes: 1,
  kb: 1e3,
  k: 2 ** 10,
  kib: 2 ** 10,
  mb: 1e6,
  m: 2 ** 20,
  mib: 2 ** 20,
  gb: 1e9,
  g: 2 ** 30,
  gib: 2 ** 30,
  tb: 1e12,
  t: 2 ** 40,
  tib: 2 ** 40,
};

/** The bytes of an amount like `<memory unit='MiB'>512</memory>`; null for anything else. */
export function bytesOf(element: Element | undefined): number | null {
  return amountBytes(textOf(element), attributeOf(element, 'unit'));
}

export function amountBytes(text: string | undefined, unit = 'KiB'): number | null {
  if (text === undefined || !/^\d{1,15}$/.test(text)) return null;
  const bytes = Number(text) * (bytesByUnit[unit.toLowerCase()] ?? Number.NaN);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

/** libvirt itself counts in KiB, and rounds up. */
export function amount(bytes: number): { unit: string; text: string } {
  return bytes % 1024 === 0
    ? { unit: 'KiB', text: String(bytes / 1024) }
    : { unit: 'bytes', text: String(bytes) };
}
