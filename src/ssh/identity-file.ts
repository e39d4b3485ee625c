import { open, readFile } from 'node:fs/promises';
import process from 'node:process';
import ssh2, { type ParsedKey } from 'ssh2';
import { keyTypeOf } from './config/known-hosts.ts';
import { publicKeyInside } from './private-key.ts';

/** A file with a private key for logins. */
export interface IdentityFile {
  path: string;
  publicKey: Buffer | null;
  /** null: missing, encrypted, exposed, or of an unknown kind. */
  privateKey: ParsedKey | null;
  /** Encrypted by a passphrase. */
  locked: boolean;
  /** Others may read or write the file. ssh does not use such a key. */
  exposed: boolean;
}

/** All permissions of the group and of others. */
const OTHERS_RIGHTS = 0o077;

/** Never fails: an unreadable file counts as missing. */
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

/** Follows ssh's own rule: the permissions of a file that belongs to another user do not matter, as that user can read it anyway. */
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

/** Whether the key is in a FIDO device: its type begins with `sk-`. Its file alone is useless. */
export function isDeviceKey(publicKey: Uint8Array): boolean {
  return keyTypeOf(publicKey).startsWith('sk-');
}
