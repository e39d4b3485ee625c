import { expect, test } from '@jest/globals';
import type { Adaptation } from '../../../../src/guest/adaptation/plan.ts';
import { offlineDefinition } from '../../../../src/guest/offline-definition.ts';
import { requireRehearsable } from '../../../../src/operations/rehearse/refuse-unrehearsable.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';

type Rehearsed = Parameters<typeof requireRehearsable>[0];
const definition = fakeDefinition('web', ['/srv/web.img']);
const [disk] = definition.disks;
if (disk === undefined) throw new Error('it has a disk');
const running = { definition, identity: { id: '1', label: 'domain 1' }, cpuSeconds: 0 };
const place = { disk, path: '/srv/web.img', isChosen: false, format: 'raw' } as const;
const move: Rehearsed = {
  guest: { definition, running, record: null },
  places: [place],
  devices: [],
  fixups: null,
};
const fixups: Adaptation = {
  changes: [],
  warnings: [],
  edits: [],
  bootArchive: null,
  commandLine: ['root=/dev/vda'],
};

test('a running guest with raw images is rehearsed, also with another command line', () => {
  expect(requireRehearsable(move)).toBe(running);
  expect(requireRehearsable({ ...move, fixups })).toBe(running);
});

const refused: Record<string, [Partial<Rehearsed>, string]> = {
  'an image': [
    { guest: { definition: offlineDefinition('/srv/web.img'), running: null, record: null } },
    'guest-unsupported',
  ],
  'a guest that does not run': [{ guest: { definition, running: null, record: null } }, 'guest-not-running'],
  'a block device': [
    { devices: [{ path: '/dev/vg0/web', sizeBytes: 4096, holds: [] }] },
    'guest-unsupported',
  ],
  'an image in qcow2': [{ places: [{ ...place, disk: { ...disk, format: 'qcow2' } }] }, 'guest-unsupported'],
  'a new image in qcow2': [{ places: [{ ...place, format: 'qcow2' }] }, 'guest-unsupported'],
  'files that have to be changed': [
    { fixups: { ...fixups, edits: [{ path: '/etc/fstab', before: '', after: '#' }] } },
    'guest-unsupported',
  ],
  'an initial RAM disk that has to be changed': [
    { fixups: { ...fixups, bootArchive: new Uint8Array(1) } },
    'guest-unsupported',
  ],
};

test.each(Object.entries(refused))('%s is refused', (_, [what, code]) => {
  expect(() => requireRehearsable({ ...move, ...what })).toThrow(expect.objectContaining({ code }));
});
