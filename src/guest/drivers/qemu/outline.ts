import { basename } from 'node:path';
import { listProcesses, readInvocation } from '../../../system/proc-process.ts';
import type { DriverOutline } from '../deferred-driver.ts';
import { isQemuProgram } from './arguments/program-name.ts';

export const qemuOutline: DriverOutline = {
  kind: 'qemu',
  environmentNames: ['XDG_RUNTIME_DIR'],
  mayHaveGuests: () =>
    listProcesses().some(({ pid }) => isQemuProgram(basename(readInvocation(pid)?.executable ?? ''))),
};
