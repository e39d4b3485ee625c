import { basename, join } from 'node:path';

/**
 * What keeps backups, and how it is told to. Each step is a bash script for the hardware that the guest is on, run with
 * `set -eo pipefail` behind the peer's `settings`; in them stand
 *
 *   $IMAGE     the guest's image here           $STORE     a directory over there, of this peer alone
 *   $RESTORED  an empty directory here          $SCRATCH   a directory here, of this peer alone, for what it remembers
 *   $PASSPHRASE_FILE  a file with a passphrase
 *   $SSH, $NEW, $SSH_OPTIONS, $SSH_CONFIG, $VMFERRY as in peers.mjs
 *
 * `init` is not measured. `reference`: the vmferry that does the same, encrypted or not: ratios are to it. `version`: the command
 * that prints the program's version. Everything is as the programs have it by default, but for compression and encryption, which are
 * made alike: zstd, at level 3 or what stands for it.
 *
 * `restoredPath` is where the second state lies in the end, to be checked. `keepsAllBytes`: it is that to the byte; vmferry
 * leaves out free blocks, so there the file systems are compared.
 */
export const backupPeers = [
  ...[false, true].map((encrypts) => ({
    name: encrypts ? 'vmferry-encrypted' : 'vmferry',
    reference: encrypts ? 'vmferry-encrypted' : 'vmferry',
    version: '$VMFERRY --version',
    title: encrypts ? 'vmferry, encrypted' : 'vmferry',
    programs: [],
    settings: [
      `OPTIONS="--ssh-config $SSH_CONFIG --json${encrypts ? ' --passphrase-file $PASSPHRASE_FILE' : ''}"`,
      'prune() { $VMFERRY prune $NEW:$STORE --keep-last 1 --grace 0 $OPTIONS; }',
    ].join('\n'),
    steps: {
      init: `$VMFERRY init $NEW:$STORE ${encrypts ? '--encrypt' : '--no-encrypt'} $OPTIONS`,
      first: '$VMFERRY backup $IMAGE --to $NEW:$STORE $OPTIONS',
      second: '$VMFERRY backup $IMAGE --to $NEW:$STORE $OPTIONS',
      restore: '$VMFERRY restore $NEW:$STORE $(basename $IMAGE) --to $RESTORED/restored.img $OPTIONS',
      verify: '$VMFERRY verify $NEW:$STORE --read-data $OPTIONS',
      // the first moves what is not needed to the trash, the second empties it
      prune: 'prune && prune',
    },
    restoredPath: ({ restored }) => join(restored, 'restored.img'),
    keepsAllBytes: false,
  })),
  {
    name: 'restic',
    reference: 'vmferry-encrypted',
    version: 'restic version',
    title: 'restic, encrypted',
    programs: ['restic'],
    settings: [
      'export RESTIC_REPOSITORY=sftp:$NEW:$STORE RESTIC_PASSWORD_FILE=$PASSPHRASE_FILE RESTIC_CACHE_DIR=$SCRATCH/cache',
      'restic() { command restic --quiet -o sftp.command="$SSH -s sftp" "$@"; }',
    ].join('\n'),
    steps: {
      init: 'restic init',
      first: 'restic backup --compression auto $IMAGE',
      second: 'restic backup --compression auto $IMAGE',
      restore: 'restic restore latest --target $RESTORED',
      verify: 'restic check --read-data',
      prune: 'restic forget --keep-last 1 --prune',
    },
    restoredPath: ({ restored, image }) => join(restored, image),
    keepsAllBytes: true,
  },
  {
    name: 'borg',
    reference: 'vmferry-encrypted',
    version: 'borg --version',
    title: 'borg, encrypted',
    programs: ['borg'],
    settings: [
      'export BORG_REPO=ssh://$NEW$STORE BORG_RSH="ssh $SSH_OPTIONS" BORG_PASSCOMMAND="cat $PASSPHRASE_FILE"',
      'export BORG_BASE_DIR=$SCRATCH/borg',
    ].join('\n'),
    steps: {
      init: 'borg init --encryption repokey-blake2',
      first: 'borg create --compression zstd,3 ::first $IMAGE',
      second: 'borg create --compression zstd,3 ::second $IMAGE',
      restore: 'cd $RESTORED && borg extract --sparse ::second',
      verify: 'borg check --verify-data',
      prune: 'borg prune --keep-last 1 && borg compact',
    },
    restoredPath: ({ restored, image }) => join(restored, image),
    keepsAllBytes: true,
  },
  {
    name: 'rsync',
    reference: 'vmferry',
    version: 'rsync --version',
    title: 'rsync, keeps one state',
    programs: ['rsync'],
    settings: 'rsync() { command rsync -aS -z --compress-choice=zstd -e "ssh $SSH_OPTIONS" "$@"; }',
    steps: {
      first: 'rsync $IMAGE $NEW:$STORE/',
      second: 'rsync --inplace $IMAGE $NEW:$STORE/',
    },
    restoredPath: ({ store, image }) => join(store, basename(image)),
    keepsAllBytes: true,
  },
];

/** In the order in which they are measured. */
export const backupSteps = [
  { name: 'first', title: 'First backup' },
  { name: 'second', title: 'Second backup, after 5 % of the used bytes have changed' },
  { name: 'restore', title: 'Restore of the second onto a new file' },
  { name: 'verify', title: 'Verify, all data read' },
  { name: 'prune', title: 'Prune to the last snapshot' },
];
