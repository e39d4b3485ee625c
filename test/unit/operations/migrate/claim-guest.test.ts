import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { MoveOptions } from '../../../../src/guest/guest-record.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import {
  claimGuest,
  dropClaim,
  noteMoveToCome,
} from '../../../../src/operations/migrate/passes/claim-guest.ts';
import { listMoves } from '../../../../src/operations/moves/list-moves.ts';
import { optionsToResume } from '../../../../src/operations/moves/options-to-resume.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const definition = fakeDefinition('web', []);
const options: MoveOptions = { to: 'new:/srv', hold: true };

let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;
beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'records'));
});
afterEach(() => scratch[Symbol.dispose]());

const moving = (destination: string, noted?: MoveOptions) => ({
  request: { target: { destination }, ...(noted && { options: noted }) },
  guest: { definition, running: null, record: null },
  dependencies: { records },
});
const rehearsal = () => moving('other');

test('a rehearsal between two tries of a move leaves it its options', async () => {
  await noteMoveToCome(moving('new', options));
  await claimGuest(rehearsal(), 'rehearsal');
  const claimed = await records.read('web');
  expect(claimed?.copying).toMatchObject({ destination: 'new', options, rehearsedTo: 'other' });
  expect(await dropClaim(rehearsal(), context)).toBe(true);
  const after = await records.read('web');
  expect(after?.copying).toEqual({ destination: 'new', options });
  expect(await optionsToResume('web', records)).toEqual(options);
});

test('a rehearsal alone leaves nothing to resume', async () => {
  await claimGuest(rehearsal(), 'rehearsal');
  expect((await records.read('web'))?.copying).toMatchObject({ destination: 'other' });
  await dropClaim(rehearsal(), context);
  expect((await records.read('web'))?.copying).toBeUndefined();
});

test('a move has only its own options, and leaves none when it is undone', async () => {
  await noteMoveToCome(moving('new', options));
  const other = moving('third', { to: 'third:/srv' });
  await claimGuest(other);
  const { copying } = (await records.read('web')) ?? {};
  expect(copying).toMatchObject({ destination: 'third', options: { to: 'third:/srv' } });
  await dropClaim(other, context);
  expect((await records.read('web'))?.copying).toBeUndefined();
});

test('while a guest is rehearsed on another machine, that one is named, and afterwards the one of the move that broke off', async () => {
  await noteMoveToCome(moving('new', options));
  await claimGuest(rehearsal(), 'rehearsal');
  expect(await listMoves(records)).toMatchObject([{ state: 'copying', other: 'other' }]);
  const record = await records.read('web');
  if (record?.copying?.mover === undefined) throw new Error('it is not claimed');
  // Killed: its process has ended.
  await records.write({
    ...record,
    copying: { ...record.copying, mover: { pid: 2 ** 30, startTimeTicks: 1 } },
  });
  expect(await listMoves(records)).toMatchObject([{ state: 'copy-broken-off', other: 'new' }]);
  expect(await optionsToResume('web', records)).toEqual(options);
});

test('a move without options, as by the library, keeps none of an earlier one', async () => {
  await noteMoveToCome(moving('new', options));
  await claimGuest(moving('third'));
  const { copying } = (await records.read('web')) ?? {};
  expect(copying).toMatchObject({ destination: 'third' });
  expect(copying?.options).toBeUndefined();
  await dropClaim(moving('third'), context);
  expect((await records.read('web'))?.copying).toBeUndefined();
});
