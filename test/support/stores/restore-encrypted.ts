import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ScriptResult } from './restore-script.ts';

const script = fileURLToPath(new URL('../../../fixtures/restore-encrypted.py', import.meta.url));

/** Runs fixtures/restore-encrypted.py: the store, the guest, the snapshot, the file of the secret, the directory. */
export function restoreByPython(...args: [string, string, string, string, string]): ScriptResult {
  const { status, stdout, stderr } = spawnSync('python3', [script, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
