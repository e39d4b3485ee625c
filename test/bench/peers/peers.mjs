/**
 * The measured peers. A command is a bash script for the old hardware. It runs with `set -eo pipefail`, and may use
 *
 *   $IMAGE    the image here                $OUT   its final path over there: raw, sparse or not
 *   $SCRATCH  an empty directory here       $DIR   the empty directory over there that $OUT is in
 *   $SSH      ssh with its configuration, key and cipher, and the new hardware's name
 *   $NEW      the new hardware's name alone, for programs that start ssh themselves with $SSH_OPTIONS
 *   $VMFERRY  this vmferry
 *
 * `verified` says what the command itself proves of the written data. `rounds` is its default number of rounds. A `slow` peer
 * runs only if it is named.
 */
export const peers = [
  {
    name: 'vmferry',
    title: 'vmferry migrate',
    programs: [],
    command:
      '$VMFERRY migrate $IMAGE --to $NEW:$DIR --ssh-config $SSH_CONFIG --remote-command "$VMFERRY" --json',
    verified: 'read back from the disk',
    rounds: 5,
    quick: true,
  },
  {
    name: 'e2image',
    title: 'e2image, zstd, ssh',
    programs: ['e2image', 'zstd'],
    command: 'e2image -ra $IMAGE - | zstd | $SSH "zstd -d --sparse -o $OUT"',
    verified: 'no',
    rounds: 5,
    quick: true,
  },
  {
    name: 'partclone',
    title: 'partclone, zstd, ssh',
    programs: ['partclone.ext3', 'zstd'],
    command: [
      'partclone.ext3 -q -c -s $IMAGE -o - -L $SCRATCH/partclone.log | zstd |',
      '$SSH "zstd -d | partclone.ext3 -q -r -C -W -s - -o $OUT -L $DIR/partclone.log && rm $DIR/partclone.log"',
    ].join(' '),
    verified: 'no',
    rounds: 3,
  },
  {
    name: 'qcow2',
    title: 'qcow2 (zstd), scp',
    programs: ['qemu-img', 'scp'],
    command: [
      'qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd $IMAGE $SCRATCH/image.qcow2',
      'scp -q $SSH_OPTIONS $SCRATCH/image.qcow2 $NEW:$DIR/',
      '$SSH "qemu-img convert -O raw $DIR/image.qcow2 $OUT && rm $DIR/image.qcow2"',
    ].join('\n'),
    verified: 'no',
    rounds: 3,
  },
  {
    name: 'tar',
    title: 'tar -S, zstd, ssh',
    programs: ['tar', 'zstd'],
    command: [
      'tar -C $(dirname $IMAGE) -cSf - $(basename $IMAGE) | zstd -T0 |',
      '$SSH "zstd -d | tar -C $DIR -xSf -"',
    ].join(' '),
    verified: 'no',
    rounds: 3,
  },
  {
    name: 'rsync',
    title: 'rsync -S (zstd), first run',
    programs: ['rsync'],
    command: 'rsync -aS -z --compress-choice=zstd -e "ssh $SSH_OPTIONS" $IMAGE $NEW:$OUT',
    verified: 'as received',
    rounds: 3,
  },
  {
    name: 'bzip2',
    title: 'bzip2, scp, bunzip2',
    programs: ['bzip2', 'bunzip2', 'scp'],
    command: [
      'bzip2 -c $IMAGE > $SCRATCH/image.bz2',
      'scp -q $SSH_OPTIONS $SCRATCH/image.bz2 $NEW:$DIR/',
      '$SSH "bunzip2 -c $DIR/image.bz2 > $OUT && rm $DIR/image.bz2"',
    ].join('\n'),
    verified: 'as received',
    rounds: 1,
    slow: true,
  },
];

/** The peers with these names, in that order. Throws for an unknown name. */
export function findPeers(names, among = peers) {
  return names.map((name) => {
    const found = among.find((peer) => peer.name === name);
    if (found !== undefined) return found;
    throw new Error(`There is no peer ${name}. There are: ${among.map((peer) => peer.name).join(', ')}.`);
  });
}
