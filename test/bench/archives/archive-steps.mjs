/** The variables of a step: the image, the program, and an empty directory ($OUT). $KEPT stays from step to step. */
const UNPACK = 'zstd -dcq $KEPT/a.tar.zst | tar -xSf - -C $OUT';

/** What is measured of the whole work image, in this order: the later steps read what the earlier ones wrote. */
export const archiveSteps = [
  {
    name: 'backup',
    title: 'vmferry backup, to a new local store',
    before: '$VMFERRY init $OUT/store --no-encrypt',
    command: '$VMFERRY backup $IMAGE --to $OUT/store --compression 3',
  },
  {
    name: 'export',
    title: 'vmferry export -o .tar.zst',
    before: 'rm -f $KEPT/a.tar.zst',
    command: '$VMFERRY export $IMAGE -o $KEPT/a.tar.zst --compression 3',
  },
  { name: 'tar', title: 'zstd -d | tar -xS', command: UNPACK },
  {
    name: 'tarOnDisk',
    title: 'the same, then sync, and read back past the page cache',
    command: `${UNPACK}; sync -f $OUT; dd if=$OUT/guest.img of=/dev/null bs=4M iflag=direct status=none`,
  },
  { name: 'import', title: 'vmferry import', command: '$VMFERRY import $KEPT/a.tar.zst --to $OUT/' },
  {
    name: 'zstd',
    title: 'zstd -d alone, to nowhere',
    command: 'zstd -dcq $KEPT/a.tar.zst > /dev/null',
  },
  {
    name: 'disk',
    title: 'as many bytes written, synced and read past the page cache, by dd',
    command:
      'dd if=/dev/zero of=$OUT/plain bs=4M count=$USED_PIECES oflag=direct conv=fsync status=none; ' +
      'dd if=$OUT/plain of=/dev/null bs=4M iflag=direct status=none',
  },
];

/** The same of the small work image, because bzip2 is slow. */
export const bzip2Steps = [
  { name: 'lbzip2', title: 'lbzip2 of the image', command: 'lbzip2 -c $IMAGE > $KEPT/l.img.bz2' },
  {
    name: 'exportBzip2',
    title: 'vmferry export -o .img.bz2 --every-block',
    before: 'rm -f $KEPT/v.img.bz2',
    command: '$VMFERRY export $IMAGE -o $KEPT/v.img.bz2 --every-block',
  },
  {
    name: 'exportFewBzip2',
    title: 'vmferry export -o .img.bz2, free blocks left out',
    command: '$VMFERRY export $IMAGE -o $OUT/few.img.bz2',
  },
  { name: 'lunbzip2', title: 'lbzip2 -d to a file', command: 'lbzip2 -dc $KEPT/l.img.bz2 > $OUT/l.img' },
  {
    name: 'importBzip2',
    title: 'vmferry import .img.bz2',
    command: '$VMFERRY import $KEPT/v.img.bz2 --to $OUT/',
  },
];

/** Once, because it takes minutes. */
export const fallbackStep = {
  name: 'fallback',
  title: 'vmferry import .img.bz2 without any bzip2',
  command: 'PATH=/nowhere $VMFERRY import $KEPT/v.img.bz2 --to $OUT/',
};
