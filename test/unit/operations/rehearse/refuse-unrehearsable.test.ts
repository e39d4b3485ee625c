import { expect, test } from '@jest/globals';
import { offlineDefinition } from '../../../../src/guest/offline-definition.ts';
import { requireRehearsable } from '../../../../src/operations/rehearse/refuse-unrehearsable.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';

type Rehearsed = Parameters<typeof requireRehearsable>[0];
const definition = fakeDefinition('web', ['/srv/web.img']);
const running = { definition, identity: { id: '1', label: 'domain 1' }, cpuSeconds: 0 };
const move: Rehearsed = {
  guest: { definition, running, record: null },
  devices: [],
};
test('a running guest is rehearsed', () => {
  expect(requireRehearsable(move)).toBe(running);
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
};

test.each(Object.entries(refused))('%s is refused', (_, [what, code]) => {
  expect(() => requireRehearsable({ ...move, ...what })).toThrow(expect.objectContaining({ code }));
});
