import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeAdaptation } from '../../../../src/guest/adaptation/make-adaptation.ts';
import { applyEdits, revertEdits } from '../../../../src/image/contents/edit-files.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';
import { viewsMissing, viewsOf } from '../../../support/images/containers.ts';
import { runTool, scratchDirectory } from '../../../support/images/images.ts';
import { describeUnless, findTool, toolsMissing } from '../../../support/programs/tools.ts';
import { failureOf } from '../../../support/failures.ts';

const MIB = 2 ** 20;
const context = { signal: new AbortController().signal };
const fstab = '/dev/ubda / ext4 defaults 0 1\n';
const edits = [
  { path: '/etc/fstab', before: fstab, after: '/dev/vda / ext4 defaults 0 1\n' },
  { path: '/etc/systemd/network/10-vmferry-eth0.link', before: null, after: '[Match]\n' },
];

function tool(name: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(findTool(name) ?? name, args, { encoding: 'latin1' });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

const missing = viewsMissing() ?? toolsMissing('mke2fs', 'debugfs', 'e2fsck');

describeUnless(missing, 'edits of files in a qcow2 image', () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  let path: string;

  beforeEach(async () => {
    scratch = scratchDirectory();
    path = join(scratch.path, 'web.qcow2');
    const [tree, raw] = [join(scratch.path, 'tree'), join(scratch.path, 'raw')];
    mkdirSync(join(tree, 'etc'), { recursive: true });
    writeFileSync(join(tree, 'etc/fstab'), fstab, { mode: 0o640 });
    writeFileSync(raw, '');
    await truncate(raw, 16 * MIB);
    tool('mke2fs', ['-qF', '-t', 'ext4', '-d', tree, raw]);
    // As on a disk with partitions; compressed, as an image may come.
    writeFileSync(raw, Buffer.concat([Buffer.alloc(MIB), readFileSync(raw)]));
    runTool('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', raw, path]);
  });

  afterEach(() => {
    scratch[Symbol.dispose]();
    expect(viewsOf(process.pid)).toEqual([]);
  });

  /** The file as it is in the image, seen by QEMU's own tool; the image and its file system are checked. */
  function read(file: string): string {
    const raw = join(scratch.path, 'now');
    runTool('qemu-img', ['check', '-q', '-f', 'qcow2', path]);
    runTool('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, raw]);
    tool('e2fsck', ['-fn', `${raw}?offset=${MIB}`]);
    return tool('debugfs', ['-R', `cat ${file}`, `${raw}?offset=${MIB}`]);
  }

  test('go through a view of it, and can be taken back', async () => {
    const place = { path, offset: MIB, format: 'qcow2' } as const;
    const applied = await applyEdits(place, edits, context);
    for (const edit of edits) expect(read(edit.path)).toBe(edit.after);
    expect(await revertEdits(place, applied, context)).toEqual([]);
    expect(read('/etc/fstab')).toBe(fstab);
    expect(read(edits[1]?.path ?? '')).toBe('');
  });

  test('are made by an adaptation of a guest with such a disk', async () => {
    const disks = [{ device: 'vda', path, readOnly: false, format: 'qcow2' as const }];
    const definition = fakeDefinition('web', [], { disks });
    const made = { kernel: join(scratch.path, 'kernel'), initrd: join(scratch.path, 'initrd') };
    const work = { definition, root: { path, offset: MIB }, edits, bootArchive: null, bootFiles: null };
    expect(await makeAdaptation(work, made, context)).toEqual(definition);
    expect(read('/etc/fstab')).toBe(edits[0]?.after);
  });

  test('that fail leave the image intact, and are told with its name', async () => {
    const place = { path, offset: MIB, format: 'qcow2' } as const;
    const wrong = { path: '/etc/fstab', before: 'something else', after: 'x' };
    const failure = await failureOf(() => applyEdits(place, [wrong], context));
    expect(failure).toMatchObject({ code: 'write-failed', message: expect.stringContaining(`in ${path} `) });
    expect(read('/etc/fstab')).toBe(fstab);
  });
});
