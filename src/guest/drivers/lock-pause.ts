import type { FileHandle } from 'node:fs/promises';
import { Failure } from '../../failure.ts';
import { poll } from '../../pipeline/polling.ts';
import { tryLock } from '../../system/native.ts';

const LIMIT_MS = 5_000;
const INTERVAL_MS = 50;

/**
 * Locks the file of a guest that is about to be paused. Only one vmferry at a time pauses a guest: the pause of a second one would
 * end too early. Closes the file and throws Failure `guest-unsupported` if another vmferry keeps the lock.
 */
export async function lockPause(file: FileHandle, guest: string, signal: AbortSignal): Promise<void> {
  try {
    if (await poll(() => tryLock(file.fd), { timeoutMs: LIMIT_MS, intervalMs: INTERVAL_MS, signal })) return;
    throw new Failure('guest-unsupported', `Another backup has stopped the guest ${guest}.`, {
      advice: 'Try again when that backup has ended.',
    });
  } catch (error) {
    await file.close();
    throw error;
  }
}
