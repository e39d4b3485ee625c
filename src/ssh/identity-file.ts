import { open, readFile } from 'node:fs/promises';
import process from 'node:process';
import ssh2, { type ParsedKey } from 'ssh2';
import { keyTypeOf } from './config/known-hosts.ts';
import { publicKeyInside } from './private-key.ts';

/** A private key to log in with, as its file has it. */
export interface IdentityFile {
  path: string;
  publicKey: Buffer | null;
  /** null: missing, encrypted, exposed, or of a kind that is not understood. */
  privateKey: ParsedKey | null;
  locked: boolean;
  /** Others may read or write it. ssh does not use such a key. */
  exposed: boolean;
}

/** Any right for the group or for others. */
const OTHERS_RIGHTS = 0o077;

/** Never fails: what cannot be read counts as missing. */
export async function readIdentityFile(path: string): Promise<IdentityFile> {
  const [file, publicText] = await Promise.all([
    readPrivate(path).catch(() => null),
    readFile(`${path}.pub`, 'utf8').catch(() => null),
  ]);
  const text = file?.text ?? null;
  const exposed = file?.exposed ?? false;
  const parsed = text === null ? null : parseOneKey(text);
  const privateKey = parsed !== null && parsed.isPrivateKey() ? parsed : null;
  const published = publicText === null ? null : parseOneKey(publicText);
  const publicKey =
    parsed?.getPublicSSH() ??
    (text === null ? null : publicKeyInside(text)) ??
    published?.getPublicSSH() ??
    null;
  const locked =
    parsed === null &&
    text !== null &&
    /ENCRYPTED|BEGIN OPENSSH PRIVATE KEY/.test(text) &&
    !(publicKey !== null && isDeviceKey(publicKey));
  return {
    path,
    privateKey: exposed ? null : privateKey,
    publicKey,
    locked: locked && !exposed,
    exposed: exposed && (privateKey !== null || locked),
  };
}

/** ssh's own rule: a file of somebody else's may be as open as its owner wants it, for the owner can read it anyway. */
async function readPrivate(path: string): Promise<{ text: string; exposed: boolean }> {
  await using file = await open(path, 'r');
  const { uid, mode } = await file.stat();
  const exposed = uid === process.getuid?.() && (mode & OTHERS_RIGHTS) !== 0;
  return { text: await file.readFile('utf8'), exposed };
}

function parseOneKey(text: string): ParsedKey | null {
  const parsed = ssh2.utils.parseKey(text) as ParsedKey | ParsedKey[] | Error;
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  return key === undefined || key instanceof Error ? null : key;
}

/** The key is in a FIDO device (its type begins with `sk-`); its file alone is good for nothing. */
export function isDeviceKey(publicKey: Uint8Array): boolean {
  return keyTypeOf(publicKey).startsWith('sk-');
}
