import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyTypeOf } from './known-hosts.ts';

/** The first bytes of a key revocation list (OpenSSH's PROTOCOL.krl). Any other file is a list of public keys, one a line. */
const LIST_MAGIC = 'SSHKRL\n\0';
const REVOKED_STATUS = 1;

export type RevocationAnswer = 'yes' | 'no' | { problem: string };

/**
 * Whether a key is in a file of revoked keys, in either form that ssh accepts. `problem`: the file cannot be used. Synchronous,
 * because ssh2 hangs while it exchanges new keys if the verifier of host keys answers later.
 */
export function isKeyRevoked(file: string, key: Uint8Array): RevocationAnswer {
  try {
    const content = readFileSync(file);
    if (content.toString('latin1', 0, LIST_MAGIC.length) === LIST_MAGIC) return askKeygen(file, key);
    const sought = Buffer.from(key).toString('base64');
    const lines = content.toString('latin1').split('\n').map(wordsOf);
    return lines.some((words) => words.includes(sought)) ? 'yes' : 'no';
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function wordsOf(line: string): string[] {
  return line.trimStart().startsWith('#') ? [] : line.trim().split(/\s+/);
}

/** Lets ssh-keygen read the binary form. It accepts the key only as a file. */
function askKeygen(list: string, key: Uint8Array): RevocationAnswer {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-host-key-'));
  try {
    const keyFile = join(directory, 'key.pub');
    writeFileSync(keyFile, `${keyTypeOf(key)} ${Buffer.from(key).toString('base64')}\n`);
    const { status, stderr, error } = spawnSync('ssh-keygen', ['-Q', '-f', list, keyFile], {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (error !== undefined) throw error;
    if (status === 0) return 'no';
    return status === REVOKED_STATUS ? 'yes' : { problem: stderr.trim() };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
