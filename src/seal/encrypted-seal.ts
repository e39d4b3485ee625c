import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes as systemRandomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { Failure } from '../failure.ts';
import type { Seal } from './seal.ts';

export const SEAL_KEY_BYTES = 32;
const SALT_BYTES = 32;
const TAG_BYTES = 32;
const CIPHER_KEY_BYTES = 32;
const MAC_KEY_BYTES = 32;
/** How many bytes sealing adds. */
export const SEAL_OVERHEAD_BYTES = SALT_BYTES + TAG_BYTES;

/** Each cipher key is used for one text only, so the counter can start at 0. */
const firstCounter = Buffer.alloc(16);
const noSalt = Buffer.alloc(0);

/**
 * Seals by AES-256 in counter mode and HMAC-SHA-256, with keys that HKDF-SHA-256 derives from the store's key, a new salt
 * and the purpose: doc/encryption.md has the construction and its reasons.
 * @param key 32 random bytes
 * @param randomBytes for salts; tests with known answers pass their own
 */
export function encryptedSeal(
  key: Uint8Array,
  randomBytes: (count: number) => Uint8Array = systemRandomBytes,
): Seal {
  if (key.length !== SEAL_KEY_BYTES) throw new RangeError(`a key of ${key.length} bytes`);
  const nameKey = new Uint8Array(hkdfSync('sha256', key, noSalt, 'vmferry names 1', MAC_KEY_BYTES));

  return {
    suffix: '.sealed',

    seal(purpose, plain) {
      const salt = randomBytes(SALT_BYTES);
      const { cipherKey, macKey } = deriveKeys(key, salt, purpose);
      const ciphertext = createCipheriv('aes-256-ctr', cipherKey, firstCounter).update(plain);
      const sealed = new Uint8Array(SEAL_OVERHEAD_BYTES + ciphertext.length);
      sealed.set(salt);
      sealed.set(ciphertext, SALT_BYTES);
      sealed.set(tagOf(macKey, sealed.subarray(0, -TAG_BYTES)), sealed.length - TAG_BYTES);
      return sealed;
    },

    open(purpose, sealed) {
      if (sealed.length < SEAL_OVERHEAD_BYTES) throw brokenSeal(purpose);
      const { cipherKey, macKey } = deriveKeys(key, sealed.subarray(0, SALT_BYTES), purpose);
      const tag = tagOf(macKey, sealed.subarray(0, -TAG_BYTES));
      if (!timingSafeEqual(tag, sealed.subarray(-TAG_BYTES))) throw brokenSeal(purpose);
      const ciphertext = sealed.subarray(SALT_BYTES, -TAG_BYTES);
      return createDecipheriv('aes-256-ctr', cipherKey, firstCounter).update(ciphertext);
    },

    nameOf: (text) => createHmac('sha256', nameKey).update(text).digest('hex'),
  };
}

function deriveKeys(key: Uint8Array, salt: Uint8Array, purpose: string) {
  const info = `vmferry 1 ${purpose}`;
  const derived = new Uint8Array(hkdfSync('sha256', key, salt, info, CIPHER_KEY_BYTES + MAC_KEY_BYTES));
  return { cipherKey: derived.subarray(0, CIPHER_KEY_BYTES), macKey: derived.subarray(CIPHER_KEY_BYTES) };
}

function tagOf(macKey: Uint8Array, bytes: Uint8Array): Buffer {
  return createHmac('sha256', macKey).update(bytes).digest();
}

function brokenSeal(purpose: string): Failure {
  return new Failure('store-damaged', `Sealed bytes (${purpose}) are not those that were stored.`);
}
