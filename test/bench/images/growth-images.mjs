import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { packageFile } from '../peers/guest-packages.mjs';
import { run } from '../peers/programs.mjs';

const MIB = 2 ** 20;
const FILE_BYTES = 4 * MIB;

const common = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard';

/**
 * Where the file system's own tables are. `together`: at its beginning, so that images of any size have the same amount in use.
 * `usual`: mke2fs's default, a part every 2 GiB.
 */
const layouts = {
  together: ['-O', '^resize_inode,sparse_super2', '-E', `${common},packed_meta_blocks=1`],
  usual: ['-E', common],
};

/**
 * Makes an ext4 image with this many bytes of files. All files differ, and compress like the packages' files. Only the used
 * part takes room: the image is sparse, and tables are written only when they are needed.
 */
export function makeGrowthImage(path, { sizeBytes, usedBytes, layout, packages }) {
  const files = `${path}.files`;
  mkdirSync(files);
  const content = contentOf(packages);
  for (let done = 0; done < usedBytes; done += FILE_BYTES)
    writeFile(join(files, String(done / FILE_BYTES)), content, done, Math.min(FILE_BYTES, usedBytes - done));
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  const options = ['-t', 'ext4', '-b', '4096', '-m', '0', '-N', '65536', '-J', 'size=16', ...layouts[layout]];
  run('mke2fs', ['-q', '-F', ...options, '-d', files, path]);
  rmSync(files, { recursive: true });
}

function contentOf(packages) {
  const options = { encoding: 'buffer' };
  return Buffer.concat(
    packages.map((name) => run('dpkg-deb', ['--fsys-tarfile', packageFile(name)], options)),
  );
}

/** The content repeated, each time with all bytes changed in another way. */
function writeFile(path, content, from, length) {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) {
    const at = from + index;
    bytes[index] = content[at % content.length] ^ Math.floor(at / content.length);
  }
  const fd = openSync(path, 'w');
  writeSync(fd, bytes);
  closeSync(fd);
}
