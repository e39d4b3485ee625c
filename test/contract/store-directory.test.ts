import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryStore } from '../../src/store/directory/directory-store.ts';
import { describeBackupStore } from './backup-store-contract.ts';

describeBackupStore('a local directory', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'vmferry-directory-store-'));
  return {
    scratch,
    open: openDirectoryStore,
    stop: () => rm(scratch, { recursive: true, force: true }),
  };
});
