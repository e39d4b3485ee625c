import { expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../../src/chunk/chunk-grid.ts';
import { ChunkMap } from '../../../../src/chunk/chunk-map.ts';
import { surveyThere } from '../../../../src/operations/migrate/line/survey-there.ts';
import type { ReceiverMessage } from '../../../../src/wire/messages.ts';
import type { RemoteReceiver } from '../../../../src/wire/remote-receiver.ts';

type Has = Extract<ReceiverMessage, { type: 'has' }>;

const CHUNK = 65_536;
const grid = chunkGridFor(4 * CHUNK + 512);
const signal = new AbortController().signal;

function receiverWith(...has: Omit<Has, 'type'>[]): RemoteReceiver {
  const receiver = {
    machine: { name: 'newhost' },
    onHas: (_message: Has) => undefined,
    request() {
      for (const message of has) receiver.onHas({ type: 'has', ...message });
      return Promise.resolve({ type: 'surveyed' });
    },
  };
  return receiver as unknown as RemoteReceiver;
}

const ids = (...bytes: number[]): string =>
  Buffer.concat(bytes.map((byte) => Buffer.alloc(32, byte))).toString('base64');

test('the map gets what the new hardware has; empty chunks stay empty', async () => {
  const map = new ChunkMap(grid);
  const receiver = receiverWith({ disk: 1, first: 1, ids: ids(7, 0) }, { disk: 1, first: 4, ids: ids(9) });
  expect(await surveyThere(receiver, 1, map, signal)).toBe(CHUNK + 512);
  expect([0, 1, 2, 3, 4].map((position) => map.get(position)?.[0] ?? null)).toEqual([null, 7, null, null, 9]);
});

test.each([
  ['beyond the end', { disk: 0, first: 4, ids: ids(1, 2) }],
  ['of another disk', { disk: 1, first: 0, ids: ids(1) }],
  ['with half an id', { disk: 0, first: 0, ids: Buffer.alloc(48, 1).toString('base64') }],
])('chunks %s are refused', async (_what, message) => {
  await expect(surveyThere(receiverWith(message), 0, new ChunkMap(grid), signal)).rejects.toMatchObject({
    code: 'protocol-violation',
  });
});
