import { z } from 'zod';
import { sealPurpose, type Seal } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';

/** Limit for `vmferry-store.json`. */
export const MARKER_LIMIT_BYTES = 4096;

const FORMAT = 'vmferry-store';
const VERSION = 1;
export const STORE_CIPHER = 'aes-256-ctr-hmac-sha-256';

/** The content of `vmferry-store.json`: doc/store.md. */
export interface StoreMarker {
  /** 32 hex digits. */
  id: string;
  encryption: StoreEncryption | null;
}

export interface EncryptedMarker extends StoreMarker {
  encryption: StoreEncryption;
}

export interface StoreEncryption {
  cipher: typeof STORE_CIPHER;
  /** Base64 of the sealed store id. It proves which key belongs to this store. */
  check: string;
}

const anyVersion = z.object({ format: z.literal(FORMAT), version: z.int() });
const marker = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  encryption: z.strictObject({ cipher: z.string().max(100), check: z.base64() }).nullable(),
});

export function markerText({ id, encryption }: StoreMarker): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, id, encryption })}\n`;
}

/**
 * Throws Failure `store-damaged` if the text is no marker, `store-unsupported` for an unknown version or cipher.
 * @param location of the store, for messages
 */
export function parseMarker(text: string, location: string): StoreMarker {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(location, cause);
  }
  const any = anyVersion.safeParse(json);
  if (any.success && any.data.version !== VERSION)
    throw unsupported(`The store ${location} is of version ${any.data.version}`);
  const { success, data, error } = marker.safeParse(json);
  if (!success) throw damaged(location, error);
  const { id, encryption } = data;
  if (encryption === null) return { id, encryption };
  const { cipher, check } = encryption;
  if (cipher !== STORE_CIPHER) throw unsupported(`The store ${location} is encrypted with ‘${cipher}’`);
  return { id, encryption: { cipher, check } };
}

/** What the marker of an encrypted store says about its key. */
export function encryptionOf(id: string, seal: Seal): StoreEncryption {
  const check = Buffer.from(seal.seal(sealPurpose.marker, checkText(id))).toString('base64');
  return { cipher: STORE_CIPHER, check };
}

/** Whether the seal has the key of the store with this id. */
export function isSealOf(id: string, { check }: StoreEncryption, seal: Seal): boolean {
  try {
    return checkText(id).equals(seal.open(sealPurpose.marker, Buffer.from(check, 'base64')));
  } catch (error) {
    if (error instanceof Failure && error.code === 'store-damaged') return false;
    throw error;
  }
}

function checkText(id: string): Buffer {
  return Buffer.from(`${FORMAT} ${VERSION} ${id}\n`);
}

function unsupported(what: string): Failure {
  return new Failure('store-unsupported', `${what}, which this vmferry does not know.`, {
    advice: 'Use the version of vmferry that made it, or a later one.',
  });
}

function damaged(location: string, cause: unknown): Failure {
  return new Failure('store-damaged', `The marker vmferry-store.json of the store ${location} is damaged.`, {
    advice: 'Nothing was changed. If you have a copy of that small file, restore it.',
    cause,
  });
}
