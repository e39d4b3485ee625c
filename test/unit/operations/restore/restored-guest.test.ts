import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { startRestored } from '../../../../src/operations/restore/restored-guest.ts';
import { codeOf } from '../../../support/failures.ts';
import { scratchDirectory } from '../../../support/images.ts';

test('a guest that was moved away while it was restored is not started, and its record stays', async () => {
  using scratch = scratchDirectory();
  const records = createRecordStore(join(scratch.path, 'guests'));
  const definition: GuestDefinition = {
    name: 'web',
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks: [{ device: 'ubda', path: '/srv/web.img', readOnly: false }],
    commandLine: [],
  };
  const move = { destination: 'new.example', directory: null, sshConfigFile: null, remoteCommand: null };
  await records.write({ definition, state: 'moved', move });
  const restored = { ...definition, disks: [{ device: 'ubda', path: '/srv/restored.img', readOnly: false }] };
  const dependencies = { drivers: [], records, consoleLogOf: () => join(scratch.path, 'console.log') };
  const context = { signal: new AbortController().signal, report: () => undefined };
  expect(await codeOf(() => startRestored(restored, 1000, dependencies, context))).toBe('guest-fenced');
  expect(await records.read('web')).toMatchObject({ state: 'moved', definition });
});
