import { hash } from 'node:crypto';
import { encryptedSeal } from './encrypted-seal.ts';
import type { Seal, SealKey } from './seal.ts';

/** The seal of a store with this key; null gives a seal that does nothing. */
export function sealFor(key: SealKey): Seal {
  return key === null ? noSeal : encryptedSeal(key);
}

export const noSeal: Seal = {
  suffix: '',
  seal: (_purpose, plain) => plain,
  open: (_purpose, sealed) => sealed,
  nameOf: (text) => hash('sha256', text, 'hex'),
};
