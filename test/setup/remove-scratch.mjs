import { rmSync } from 'node:fs';
import process from 'node:process';

export default function removeScratch() {
  rmSync(process.env.VMFERRY_TEST_SCRATCH, { recursive: true, force: true });
}
