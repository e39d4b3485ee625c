import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Makes a directory that all test files of a run share, for example for a kernel; remove-scratch.mjs removes it. */
export default function makeScratch() {
  process.env.VMFERRY_TEST_SCRATCH = mkdtempSync(join(tmpdir(), 'vmferry-test-run-'));
}
