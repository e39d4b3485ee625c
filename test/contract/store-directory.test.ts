import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryStore } from '../../src/store/directory-store.ts';
import { describeStore } from './store-contract.ts';

describeStore('a local directory', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'vmferry-directory-store-'));
  return {
    scratch,
    open: openDirectoryStore,
    stop: () => rm(scratch, { recursive: true, force: true }),
  };
});
