import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { scratchDirectory } from '../../support/images/images.ts';
import {
  bootSystemdMachine,
  systemdMachineMissing,
  unitDirectoryOf,
} from '../../support/programs/systemd-machine.ts';
import { describeUnless } from '../../support/programs/tools.ts';

/** The processes whose command line names the directory. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false;
    }
  });
}

describeUnless(systemdMachineMissing(), 'a machine of a test', () => {
  test('says why it could not be booted', async () => {
    const machine = bootSystemdMachine('/nowhere/units');
    await expect(machine).rejects.toThrow(/systemd could not be booted: .*\/nowhere\/units/s);
  });

  test('that is not up in time is ended, with all its processes', async () => {
    using scratch = scratchDirectory();
    const units = unitDirectoryOf(scratch.path);
    const mark = join(scratch.path, 'started');
    writeFileSync(
      join(units, 'slow.service'),
      `[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo "$$1" >"$$0"; while :; do sleep 1; done' ${mark} yes\n`,
    );
    const wants = '[Unit]\nRequires=slow.service\nAfter=slow.service\nDefaultDependencies=no\n';
    mkdirSync(join(units, 'multi-user.target.d'));
    writeFileSync(join(units, 'multi-user.target.d/slow.conf'), wants);
    await expect(bootSystemdMachine(units, [], 5000)).rejects.toThrow('not within 5 s: systemd has started');
    expect(existsSync(mark)).toBe(true);
    expect(processesOf(scratch.path)).toEqual([]);
  });

  test('may be disposed of after it has ended', async () => {
    using scratch = scratchDirectory();
    const machine = await bootSystemdMachine(unitDirectoryOf(scratch.path));
    await machine.shutDown();
    await machine[Symbol.asyncDispose]();
    expect(processesOf(scratch.path)).toEqual([]);
  });
});
