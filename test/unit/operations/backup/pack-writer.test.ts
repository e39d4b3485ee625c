import { expect, test } from '@jest/globals';
import { buildPack, type Pack } from '../../../../src/pack/pack.ts';
import { chunkId } from '../../../../src/chunk/chunk-id.ts';
import { noSeal } from '../../../../src/seal/seal-for.ts';
import { bestZstd } from '../../../../src/codec/zstd.ts';
import { BackupWriter } from '../../../../src/operations/backup/pack-writer.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';
import { frameOf } from '../../../support/stores/packs.ts';

const zstd = bestZstd();
const { signal } = new AbortController();
const context = { signal, report: () => undefined };
const MINUTE_MS = 60_000;

function plainOf(number: number): Buffer {
  return Buffer.alloc(4096, number);
}

function packOf(number: number): Promise<Pack> {
  return buildPack([frameOf(new Map([[0, plainOf(number)]]), zstd)]);
}

test.each([
  { line: 'a fast line', msForEach: 10, indexFiles: 2 },
  { line: 'a slow line', msForEach: MINUTE_MS, indexFiles: 6 },
])('index files are written from time to time while packs are sent over $line', async (given) => {
  const store = memoryStore();
  let nowMs = 0;
  const writer = await BackupWriter.begin(new GuestFolder(store, 'web', noSeal), context, () => nowMs);
  const indexFiles = () => [...store.files.keys()].filter((name) => name.includes('/index/')).length;
  for (let number = 1; number <= 36; number++) {
    await writer.put(await packOf(number), signal, () => undefined);
    nowMs += given.msForEach;
  }
  expect(indexFiles()).toBe(given.indexFiles);
  await writer.flushIndex(signal);
  const again = await BackupWriter.begin(new GuestFolder(store, 'web', noSeal), context);
  const known = again.knownChunks(0);
  for (let number = 1; number <= 36; number++) expect(known.has(chunkId(plainOf(number)))).toBe(true);
});
