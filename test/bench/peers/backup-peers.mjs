import { basename, join } from 'node:path';

/**
 * The backup programs and their commands. Each step is a bash script for the guest's hardware. It runs with
 * `set -eo pipefail` after the peer's `settings`, and may use
 *
 *   $IMAGE     the guest's image here           $STORE     this peer's directory over there
 *   $RESTORED  an empty directory here          $SCRATCH   this peer's directory here, for its own state
 *   $PASSPHRASE_FILE  a file with a passphrase
 *   $SSH, $NEW, $SSH_OPTIONS, $SSH_CONFIG, $VMFERRY as in peers.mjs
 *
 * `init` is not measured. `reference` is the vmferry to compare with, encrypted or plain. `version` is the command that prints the
 * program's version. All settings are defaults, except for compression and encryption, which are equal: zstd, at level 3 or
 * the nearest to it.
 *
 * `restoredPath` is the path of the restored second state, to be checked. `keepsAllBytes` means that it must be equal byte by
 * byte. vmferry leaves out free blocks, so for vmferry the file systems are compared.
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
      // the first run moves unneeded data to the trash, the second empties the trash
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
