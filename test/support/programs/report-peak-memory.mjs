/**
 * Loaded into a vmferry that a test starts (`node --import`): when it ends it writes the most memory that it ever had, in bytes,
 * to $VMFERRY_TEST_PEAK_FILE. proc(5), VmHWM: unlike what getrusage says, nothing of the process that started it counts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

if (isMainThread)
  process.on('exit', () => {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    writeFileSync(process.env.VMFERRY_TEST_PEAK_FILE, String(Number(kibibytes) * 1024));
  });
