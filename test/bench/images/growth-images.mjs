import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { packageFile } from '../peers/guest-packages.mjs';
import { run } from '../peers/programs.mjs';

const MIB = 2 ** 20;
const FILE_BYTES = 4 * MIB;

const common = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard';

/**
 * Where the file system's own tables lie. `together`: at its beginning, so that an image of any size has as much in use.
 * `usual`: as mke2fs has it, a little every 2 GiB.
 */
const layouts = {
  together: ['-O', '^resize_inode,sparse_super2', '-E', `${common},packed_meta_blocks=1`],
  usual: ['-E', common],
};

/**
 * Makes an ext4 image with so many bytes of files, of which no two are the same and all compress as the packages' files do.
 * Of an image of any size only what is in use takes room: it is sparse, and tables are not written before they are
 * needed.
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

/** The content again and again, each time with all bytes changed in another way. */
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
