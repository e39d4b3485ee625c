import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { Debugfs, type ExtPlace } from '../../../src/image/contents/debugfs.ts';
import { applyEdits, revertEdits, whyNotEditable } from '../../../src/image/contents/edit-files.ts';
import { listExtDirectory, readExtFile, statExtFile } from '../../../src/image/contents/ext-files.ts';
import { describeWithTools, findTool } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal };
const fstab = '/dev/ubda\t/ ext3 defaults 0 1\n/dev/ubdb none swap sw 0 0\n';
const shorter = '/dev/vda\t/ ext3 defaults 0 1\n';

function tool(name: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(findTool(name) ?? name, args, { encoding: 'latin1' });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

async function makeImage(...mke2fsArguments: string[]): Promise<ExtPlace> {
  const directory = mkdtempSync(join(process.env['VMFERRY_TEST_SCRATCH'] ?? tmpdir(), 'vmferry-edit-'));
  const tree = join(directory, 'tree');
  mkdirSync(join(tree, 'etc/many'), { recursive: true });
  for (let index = 0; index < 400; index++)
    writeFileSync(join(tree, `etc/many/a-rather-long-name-${index}`), '');
  writeFileSync(join(tree, 'etc/fstab'), fstab, { mode: 0o640 });
  writeFileSync(join(tree, 'etc/full'), 'x'.repeat(4096));
  writeFileSync(
    join(tree, 'etc/binary'),
    Buffer.from(Array.from({ length: 512 }, (_, index) => index & 255)),
  );
  symlinkSync('fstab', join(tree, 'etc/link'));
  symlinkSync('/etc', join(tree, 'conf'));
  const path = join(directory, 'disk.img');
  writeFileSync(path, '');
  await truncate(path, 16 * 2 ** 20);
  tool('mke2fs', '-qF', ...mke2fsArguments, '-d', tree, path);
  // Sorts the directories into trees, as a kernel does with large ones. Its exit status is 1 when it has changed something.
  spawnSync(findTool('e2fsck') ?? 'e2fsck', ['-fyD', path]);
  tool('debugfs', '-w', '-R', 'set_inode_field /etc/fstab uid 70001', path);
  return { path, offset: 0 };
}

function note({ path: image }: ExtPlace, path: string): void {
  tool('debugfs', '-w', '-R', `ea_set ${path} user.note kept`, image);
}

async function look<Answer>(place: ExtPlace, ask: (debugfs: Debugfs) => Promise<Answer>): Promise<Answer> {
  await using debugfs = await Debugfs.open(place, context.signal);
  return await ask(debugfs);
}

const read = (place: ExtPlace, path: string) => look(place, (debugfs) => readExtFile(debugfs, path));
const stat = (place: ExtPlace, path: string) => look(place, (debugfs) => statExtFile(debugfs, path));

describeWithTools('files in an image', ['mke2fs', 'debugfs', 'e2fsck'], () => {
  let place: ExtPlace;
  beforeAll(async () => {
    place = await makeImage('-t', 'ext3');
  });

  test('are read byte for byte, also through links of directories', async () => {
    const binary = Array.from({ length: 512 }, (_, index) => String.fromCodePoint(index & 255)).join('');
    expect(await read(place, '/conf/binary')).toBe(binary);
    expect(await read(place, '/etc/fstab')).toBe(fstab);
  });

  test('are not read through a link at the end, nor as a directory, nor where there are none', async () => {
    expect(await read(place, '/etc/link')).toBeNull();
    expect(await read(place, '/etc')).toBeNull();
    expect(await read(place, '/nothing')).toBeNull();
    expect(await read(place, '/etc/fstab /etc/full')).toBeNull();
    expect((await stat(place, '/etc/link'))?.target).toBe('fstab');
  });

  test('are listed', async () => {
    const names = await look(place, (debugfs) => listExtDirectory(debugfs, '/etc'));
    expect(names).toEqual(['binary', 'fstab', 'full', 'link', 'many']);
    expect(await look(place, (debugfs) => listExtDirectory(debugfs, '/etc/fstab'))).toEqual([]);
  });

  test('can lie in an image whose name has blanks and question marks', async () => {
    const path = join(
      mkdtempSync(join(process.env['VMFERRY_TEST_SCRATCH'] ?? tmpdir(), 'vmferry-edit-')),
      'a "b"?offset=5 c.img',
    );
    copyFileSync(place.path, path);
    expect(await read({ path, offset: 0 }, '/etc/fstab')).toBe(fstab);
  });
});

describeWithTools('edits of files in an image', ['mke2fs', 'debugfs', 'e2fsck'], () => {
  test.each([
    '-t ext2',
    '-t ext3',
    '-t ext3 -b 1024',
    '-t ext3 -I 128',
    '-t ext4',
    '-t ext4 -b 1024 -O ^metadata_csum,^64bit',
  ])('keep owner, mode and attributes, and can be taken back: mke2fs %s', async (mke2fsArguments) => {
    const place = await makeImage(...mke2fsArguments.split(' '));
    note(place, '/etc/fstab');
    const before = await stat(place, '/etc/fstab');
    const edits = [
      { path: '/etc/fstab', before: fstab, after: shorter },
      { path: '/etc/full', before: 'x'.repeat(4096), after: 'x'.repeat(4097) },
      { path: '/etc/many/new', before: null, after: 'new\n' },
      { path: '/etc/systemd/network/10-vmferry-eth0.link', before: null, after: '[Match]\n' },
    ];
    const applied = await applyEdits(place, edits, context);
    for (const { path, after } of edits) expect(await read(place, path)).toBe(after);
    expect(await stat(place, '/etc/fstab')).toMatchObject({
      inode: before?.inode,
      mode: 0o640,
      uid: 70001,
      links: 1,
    });
    expect(tool('debugfs', '-R', 'ea_get /etc/fstab user.note', place.path)).toContain('kept');
    expect(await stat(place, '/etc/systemd/network')).toMatchObject({
      type: 'directory',
      mode: 0o755,
      uid: 0,
    });
    tool('e2fsck', '-fn', place.path);

    expect(await revertEdits(place, applied, context)).toEqual([]);
    for (const edit of edits) expect(await read(place, edit.path)).toBe(edit.before);
    expect(await stat(place, '/etc/fstab')).toMatchObject({ inode: before?.inode, mode: 0o640, uid: 70001 });
    expect(await stat(place, '/etc/systemd')).toBeNull();
    tool('e2fsck', '-fn', place.path);
  });

  test('of a file whose content lies in its inode make a new inode', async () => {
    const place = await makeImage('-t', 'ext4', '-O', 'inline_data');
    const edit = { path: '/etc/fstab', before: fstab, after: shorter };
    const applied = await applyEdits(place, [edit], context);
    expect(await read(place, '/etc/fstab')).toBe(shorter);
    expect(await stat(place, '/etc/fstab')).toMatchObject({ mode: 0o640, uid: 70001 });
    tool('e2fsck', '-fn', place.path);
    expect(await revertEdits(place, applied, context)).toEqual([]);
    expect(await read(place, '/etc/fstab')).toBe(fstab);
  });

  test('that would lose attributes are refused', async () => {
    const place = await makeImage('-t', 'ext4');
    note(place, '/etc/full');
    const edit = { path: '/etc/full', before: 'x'.repeat(4096), after: 'x'.repeat(4097) };
    await expect(applyEdits(place, [edit], context)).rejects.toThrow(/extended attributes/);
    expect(await read(place, '/etc/full')).toBe(edit.before);
  });

  test('reach a partition, and change nothing before it', async () => {
    const { path } = await makeImage('-t', 'ext4');
    const disk = `${path}.disk`;
    writeFileSync(disk, Buffer.alloc(2 ** 20, 7));
    appendFileSync(disk, readFileSync(path));
    const place = { path: disk, offset: 2 ** 20 };
    await applyEdits(place, [{ path: '/etc/fstab', before: fstab, after: shorter }], context);
    expect(await read(place, '/etc/fstab')).toBe(shorter);
    expect(
      readFileSync(disk)
        .subarray(0, 2 ** 20)
        .equals(Buffer.alloc(2 ** 20, 7)),
    ).toBe(true);
    tool('e2fsck', '-fn', `${disk}?offset=${2 ** 20}`);
  });

  test('that were made already are not made again', async () => {
    const place = await makeImage('-t', 'ext3');
    const edits = [{ path: '/etc/fstab', before: fstab, after: shorter }];
    await applyEdits(place, edits, context);
    await applyEdits(place, edits, context);
    expect(await read(place, '/etc/fstab')).toBe(shorter);
  });

  test.each([
    ['of another content', { path: '/etc/fstab', before: 'other\n', after: 'x' }, /not as it was/],
    ['of a link', { path: '/etc/link', before: fstab, after: 'x' }, /symbolic link/],
    ['of a directory', { path: '/etc/many', before: null, after: 'x' }, /not a file/],
    ['with blanks in the path', { path: '/etc/a b', before: null, after: 'x' }, /unusual characters/],
    ['out of the tree', { path: '/etc/../fstab', before: null, after: 'x' }, /unusual characters/],
    ['in no directory', { path: '/etc/fstab/new', before: null, after: 'x' }, /not a directory/],
  ])('%s are refused, and change nothing', async (_, edit, message) => {
    const place = await makeImage('-t', 'ext4');
    const before = readFileSync(place.path);
    await expect(applyEdits(place, [edit], context)).rejects.toThrow(message);
    expect(readFileSync(place.path).equals(before)).toBe(true);
  });

  test.each([
    ['was not unmounted', 'set_super_value state 0', /not unmounted cleanly/],
    ['has a journal to replay', 'feature needs_recovery', /journal must be replayed/],
  ])('of a file system that %s are refused', async (_, command, message) => {
    const place = await makeImage('-t', 'ext4');
    tool('debugfs', '-w', '-R', command, place.path);
    const before = readFileSync(place.path);
    const edit = { path: '/etc/fstab', before: fstab, after: shorter };
    expect(await whyNotEditable(place)).toMatch(message);
    await expect(applyEdits(place, [edit], context)).rejects.toThrow(message);
    expect(readFileSync(place.path).equals(before)).toBe(true);
  });

  test('are not taken back where the guest has changed the file since', async () => {
    const place = await makeImage('-t', 'ext3');
    const applied = await applyEdits(place, [{ path: '/etc/fstab', before: fstab, after: shorter }], context);
    await applyEdits(place, [{ path: '/etc/fstab', before: shorter, after: 'by the guest\n' }], context);
    expect(await revertEdits(place, applied, context)).toEqual(['/etc/fstab']);
    expect(await read(place, '/etc/fstab')).toBe('by the guest\n');
  });
});
