import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { encryptedSeal, SEAL_KEY_BYTES } from '../../seal/encrypted-seal.ts';
import { sealPurpose } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';

/** Limit for a file in `keys`. */
export const KEY_FILE_LIMIT_BYTES = 4096;
/** The least length of a new passphrase. doc/encryption.md says why shorter ones are refused. */
export const LEAST_PASSPHRASE_CHARACTERS = 12;

const FORMAT = 'vmferry-key';
const VERSION = 1;
const SALT_BYTES = 32;

/** Costs of scrypt (RFC 7914). N is a power of two. It uses 128 × N × r bytes of memory. */
export interface ScryptCost {
  N: number;
  r: number;
  p: number;
}

/** Uses 128 MiB, and some 0.4 s of one core. */
export const defaultScryptCost: ScryptCost = { N: 2 ** 17, r: 8, p: 1 };

/** The most that a file may ask for: a hostile server must not cost the client gigabytes or minutes. */
const mostMemoryBytes = 512 * 2 ** 20;
const mostPasses = 4;
/** A smaller N would make a passphrase easy to guess; vmferry never writes one. */
const leastN = 2 ** 14;

/** One way to open a store: its key, wrapped by a passphrase. The file `keys/ID.json`. */
export interface StoreKeyFile {
  /** 16 hex digits. */
  id: string;
  /** ISO 8601, UTC. */
  createdAt: string;
  /** For the user; not secret. */
  label: string;
  kdf: ScryptCost & { name: 'scrypt'; /** Base64. */ salt: string };
  /** Base64 of the store's key, sealed. */
  wrapped: string;
}

const anyVersion = z.object({ format: z.literal(FORMAT), version: z.int() });
const keyFile = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  createdAt: z.iso.datetime(),
  label: z.string().max(100),
  kdf: z.strictObject({
    name: z.literal('scrypt'),
    N: z.int().min(leastN),
    r: z.int().min(1),
    p: z.int().min(1).max(mostPasses),
    salt: z.base64().min(24).max(256),
  }),
  wrapped: z.base64().max(1024),
});

export function keyFileText({ id, createdAt, label, kdf, wrapped }: StoreKeyFile): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, id, createdAt, label, kdf, wrapped }, null, 1)}\n`;
}

/**
 * Throws Failure `store-damaged` if it is no key file or its costs are too high or too low, `store-unsupported` for an unknown
 * version.
 * @param id from the file's name
 */
export function parseKeyFile(text: string, id: string): StoreKeyFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(id, 'is not JSON', cause);
  }
  const any = anyVersion.safeParse(json);
  if (any.success && any.data.version !== VERSION)
    throw new Failure(
      'store-unsupported',
      `The key ${id} is of version ${any.data.version}, which this vmferry does not know.`,
      { advice: 'Use the version of vmferry that made it, or a later one.' },
    );
  const { success, data, error } = keyFile.safeParse(json);
  if (!success) throw damaged(id, 'has wrong or missing members', error);
  const { format: _format, version: _version, ...file } = data;
  if (file.id !== id) throw damaged(id, 'contains another id');
  const { N, r } = file.kdf;
  const isPowerOfTwo = Number.isInteger(Math.log2(N));
  if (!isPowerOfTwo || 128 * N * r > mostMemoryBytes)
    throw damaged(id, 'asks for costs that vmferry never sets');
  return file;
}

/** Wraps a store's key with a passphrase. Throws Failure `usage` if the passphrase is too short. */
export async function wrapStoreKey(
  storeKey: Uint8Array,
  passphrase: string,
  { label, createdAt, random, cost = defaultScryptCost }: WrapOptions,
): Promise<StoreKeyFile> {
  refuseShortPassphrase(passphrase);
  const salt = random(SALT_BYTES);
  const seal = encryptedSeal(await deriveKey(passphrase, salt, cost), random);
  return {
    id: Buffer.from(random(8)).toString('hex'),
    createdAt: createdAt.toISOString(),
    label,
    kdf: { name: 'scrypt', N: cost.N, r: cost.r, p: cost.p, salt: Buffer.from(salt).toString('base64') },
    wrapped: Buffer.from(seal.seal(sealPurpose.key, storeKey)).toString('base64'),
  };
}

/** Throws Failure `usage`. */
export function refuseShortPassphrase(passphrase: string): void {
  if (Array.from(passphrase.normalize('NFC')).length >= LEAST_PASSPHRASE_CHARACTERS) return;
  throw new Failure(
    'usage',
    `A passphrase for a store needs at least ${LEAST_PASSPHRASE_CHARACTERS} characters.`,
    {
      advice:
        'Use several random words: anybody who gets at the store can try passphrases for as long as they like.',
    },
  );
}

export interface WrapOptions {
  label: string;
  createdAt: Date;
  random: (bytes: number) => Uint8Array;
  cost?: ScryptCost;
}

/** The store's key; null if the passphrase is wrong. */
export async function unwrapStoreKey(file: StoreKeyFile, passphrase: string): Promise<Uint8Array | null> {
  const seal = encryptedSeal(await deriveKey(passphrase, Buffer.from(file.kdf.salt, 'base64'), file.kdf));
  try {
    const key = seal.open(sealPurpose.key, Buffer.from(file.wrapped, 'base64'));
    return key.length === SEAL_KEY_BYTES ? key : null;
  } catch (error) {
    if (error instanceof Failure && error.code === 'store-damaged') return null;
    throw error;
  }
}

const scryptOf = promisify<string, Uint8Array, number, object, Buffer>(scrypt);

/** Normalizes the passphrase first: letters with accents have several encodings. */
function deriveKey(passphrase: string, salt: Uint8Array, { N, r, p }: ScryptCost): Promise<Uint8Array> {
  const maxmem = 2 * mostMemoryBytes;
  return scryptOf(passphrase.normalize('NFC'), salt, SEAL_KEY_BYTES, { N, r, p, maxmem });
}

function damaged(id: string, how: string, cause?: unknown): Failure {
  return new Failure('store-damaged', `The file of the key ${id} is damaged: it ${how}.`, { cause });
}
