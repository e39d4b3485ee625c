import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupReport, GuestBackup } from '../../../src/operations/backup/backup-report.ts';
import type { StoreListing } from '../../../src/operations/stores/list-store.ts';
import type { RestoredDisk, RestoreReport } from '../../../src/operations/restore/restore-report.ts';
import type { VerifyReport } from '../../../src/operations/verify/verify-report.ts';
import { resultOf } from '../programs/command-records.ts';
import { openOffsiteAccount, type OffsiteAccount } from './offsite-account.ts';
import { startTwoHosts, type CommandEnd, type TwoHosts } from '../ssh/two-hosts.ts';

/** Two hosts, with an SFTP account on the new one: like a user with a guest and a rented account for its backups. */
export interface BackupHosts extends AsyncDisposable {
  hosts: TwoHosts;
  account: OffsiteAccount;
  /** A new encrypted store in the account's directory. */
  store: string;
  /** The store's directory on this machine. */
  storeDirectory: string;
  passphraseFile: string;
  /** The options that every command for the store needs: the passphrase and the ssh configuration. */
  access: readonly string[];
  /** Makes a snapshot, on the old host. */
  backup(guest: string, ...options: string[]): Promise<GuestBackup>;
  /** The ids of a guest's snapshots, the oldest first. */
  snapshots(guest: string): Promise<string[]>;
  /** Runs `verify --read-data`: the problems of the guests and of their snapshots. */
  damage(): Promise<unknown[]>;
  /** Restores a guest of one disk, on the new host. */
  restore(reference: string, to: string, ...options: string[]): Promise<RestoredDisk>;
}

export async function startBackupHosts(): Promise<BackupHosts> {
  const hosts = await startTwoHosts();
  const account = await openOffsiteAccount(hosts.lab);
  const passphraseFile = join(hosts.old.home, 'passphrase');
  await writeFile(passphraseFile, 'correct horse battery staple\n', { mode: 0o600 });
  const access = ['--passphrase-file', passphraseFile, '-F', account.server.sshConfigFile];
  const store = `${account.login}:backups/vmferry`;
  const runOnOld = (...args: string[]): Promise<CommandEnd> => hosts.run([...args, ...access, '--json']);
  resultOf(await runOnOld('init', store, '--encrypt'));
  return {
    hosts,
    account,
    store,
    storeDirectory: join(account.writable, 'vmferry'),
    passphraseFile,
    access,
    backup: async (guest, ...options) => {
      const ended = await runOnOld('backup', guest, '--to', store, ...options);
      const [made] = resultOf<BackupReport>(ended).guests;
      if (made === undefined || ended.exitStatus !== 0) throw new Error(ended.stdout);
      return made;
    },
    snapshots: async (guest) => {
      const { guests } = resultOf<StoreListing>(await runOnOld('list', store, guest));
      return guests.flatMap(({ snapshots }) => snapshots.map(({ id }) => id));
    },
    damage: async () => {
      const { guests } = resultOf<VerifyReport>(await runOnOld('verify', store, '--read-data'));
      return guests.flatMap(({ problems, damaged }) => [...problems, ...damaged]);
    },
    restore: async (reference, to, ...options) => {
      const args = ['restore', store, reference, '--to', to, ...options, ...access, '--json'];
      const [disk] = resultOf<RestoreReport>(await hosts.runOnNew(args)).disks;
      if (disk === undefined) throw new Error(`${reference} has no disk`);
      return disk;
    },
    [Symbol.asyncDispose]: async () => {
      await hosts[Symbol.asyncDispose]();
      await account[Symbol.asyncDispose]();
    },
  };
}

/** Printed as soon as bytes of a backup have arrived in the store. */
export const backupHasBegun = /"stage":"backup","doneBytes":\d+,"totalBytes":\d+,"sentBytes":[1-9]/;
