import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { withBackingDirectories } from '../../src/image/formats/view/backing-directories.ts';
import { openImage } from '../../src/image/open-image.ts';
import { failureOf } from '../support/failures.ts';
import { viewsMissing } from '../support/images/containers.ts';
import { headers } from '../support/images/container-headers.ts';
import { makeSparseFile, patchFile, runTool, scratchDirectory } from '../support/images/images.ts';
import { describeUnless } from '../support/programs/tools.ts';

const MIB = 2 ** 20;

describeUnless(viewsMissing(), 'an image made by somebody else', () => {
  test.each([
    ['/etc/shadow', 'raw', /outside its own directory: \/etc\/shadow/],
    ['../../../../../../etc/shadow', 'raw', /outside its own directory: \/etc\/shadow/],
    ['link', 'raw', /outside its own directory: \/etc\/shadow/],
    ['linked/shadow', 'raw', /outside its own directory: \/etc\/shadow/],
    ['nbd:localhost:10809', 'raw', /not a plain path: nbd:localhost:10809/],
    ['nbd+unix:///x?socket=/run/x', 'raw', /not a plain path/],
    ['file:/etc/shadow', 'raw', /not a plain path/],
    ['json:{"driver":"file","filename":"/etc/shadow"}', 'raw', /not a plain path/],
    ['/dev/null', 'raw', /neither a file nor a block device/],
    ['.', 'raw', /a directory/],
    ['missing', 'raw', /no image/],
    ['base', 'nbd', /of the format nbd, which is not read/],
    ['base', undefined, /does not say which format/],
    ['image.qcow2', 'qcow2', /more than 32 backing files, or a circle/],
  ])('does not make vmferry open the backing file %s', async (backing, format, message) => {
    using scratch = scratchDirectory();
    makeSparseFile(join(scratch.path, 'base'), MIB);
    symlinkSync('/etc/shadow', join(scratch.path, 'link'));
    symlinkSync('/etc', join(scratch.path, 'linked'));
    const path = join(scratch.path, 'image.qcow2');
    writeFileSync(path, headers.qcow2({ backing, ...(format !== undefined && { format }) }));
    const failure = await failureOf(() => openImage(path, { format: 'qcow2' }));
    expect(failure.message).toMatch(message);
  });

  test('does not make vmferry follow a backing file of a backing file out of the directory', async () => {
    using scratch = scratchDirectory();
    const inner = join(scratch.path, 'inner');
    mkdirSync(inner);
    const [path, middle] = [join(inner, 'top.qcow2'), join(inner, 'middle.qcow2')];
    makeSparseFile(join(scratch.path, 'outside.img'), MIB);
    writeFileSync(path, headers.qcow2({ backing: 'middle.qcow2', format: 'qcow2' }));
    writeFileSync(middle, headers.qcow2({ backing: '../outside.img', format: 'raw' }));
    const failure = await failureOf(() => openImage(path, { format: 'qcow2' }));
    expect(failure).toMatchObject({ code: 'image-unsupported' });
    expect(failure.message).toContain(`outside its own directory: ${scratch.path}/outside.img`);
  });

  test.each([
    ['/etc/shadow', 'raw', /outside its own directory: \/etc\/shadow/],
    ['link', 'raw', /outside its own directory: \/etc\/shadow/],
    ['../named/link', 'raw', /outside its own directory: \/etc\/shadow/],
    ['../named/../other/base', 'raw', /outside its own directory: .*\/other\/base/],
    ['../named-too/base', 'raw', /outside its own directory: .*\/named-too\/base/],
    ['nbd:localhost:10809', 'raw', /not a plain path/],
    ['file:../named/base', 'raw', /not a plain path/],
    ['json:{"driver":"file","filename":"../named/base"}', 'raw', /not a plain path/],
    ['../named', 'raw', /a directory/],
    ['../named/base', 'nbd', /of the format nbd, which is not read/],
    ['../named/base', undefined, /does not say which format/],
  ])(
    'still does not make vmferry open %s when another directory was named',
    async (backing, format, message) => {
      using scratch = scratchDirectory();
      const { path, named } = makeDirectories(scratch.path);
      writeFileSync(path, headers.qcow2({ backing, ...(format !== undefined && { format }) }));
      const failure = await failureOf(() =>
        withBackingDirectories([named], () => openImage(path, { format: 'qcow2' })),
      );
      expect(failure.message).toMatch(message);
    },
  );

  test('has a backing file elsewhere only where the person said, and only as long as that command works', async () => {
    using scratch = scratchDirectory();
    const { path, named, linkToNamed } = makeDirectories(scratch.path);
    const base = join(named, 'base');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, path]);
    const open = async () => {
      await using image = await openImage(path, { format: 'qcow2' });
      return image.container?.backingFiles;
    };
    for (const place of [named, linkToNamed, base])
      expect(await withBackingDirectories([place], open)).toEqual([{ path: base, format: 'raw' }]);
    const [inside, outside] = await Promise.allSettled([withBackingDirectories([named], open), open()]);
    expect(inside.status).toBe('fulfilled');
    expect(outside).toMatchObject({
      reason: { code: 'image-unsupported', advice: expect.stringContaining(`--backing-directory ${named}.`) },
    });
  });

  test.each([
    ['/', /root directory/],
    ['/proc/self/root', /root directory/],
    ['/nowhere/at/all', /cannot be looked at: ENOENT/],
  ])('is not opened at all when %s is named for backing files', async (place, message) => {
    expect(await failureOf(() => withBackingDirectories([place], () => Promise.resolve()))).toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });

  test('a raw guest that writes a header of qcow2 on its disk stays raw', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'guest.img');
    makeSparseFile(path, MIB);
    patchFile(path, 0, headers.qcow2({ backing: '/etc/shadow', format: 'raw' }));
    await using image = await openImage(path);
    expect(image).toMatchObject({ format: 'raw', sizeBytes: MIB, container: null });
    expect(Buffer.from(image.read(0, 4)).toString('latin1')).toBe('QFI\xfb');
  });

  test('a raw backing file with a header of qcow2 is not probed', async () => {
    using scratch = scratchDirectory();
    const [base, path] = [join(scratch.path, 'base.img'), join(scratch.path, 'top.qcow2')];
    makeSparseFile(base, MIB);
    patchFile(base, 0, headers.qcow2({ backing: '/etc/shadow', format: 'raw' }));
    const overlay = ['-F', 'raw', '-b', basename(base), path];
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', ...overlay]);
    await using image = await openImage(path, { format: 'qcow2' });
    expect(image.sizeBytes).toBe(MIB);
    expect(Buffer.from(image.read(0, 4)).toString('latin1')).toBe('QFI\xfb');
    expect(image.container?.backingFiles).toEqual([{ path: join(dirname(path), 'base.img'), format: 'raw' }]);
  });

  test('a name of qcow2 without its header is a clear error', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'disk.qcow2');
    makeSparseFile(path, MIB);
    expect(await failureOf(() => openImage(path, { format: 'qcow2' }))).toMatchObject({
      code: 'image-not-a-disk',
      message: `${path} has no header of the format qcow2.`,
    });
  });

  test('an encrypted image is refused with advice', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'disk.qcow2');
    const secret = [
      '--object',
      'secret,id=key,data=geheim',
      '-o',
      'encrypt.format=luks,encrypt.key-secret=key',
    ];
    makeEncrypted(['create', '-q', '-f', 'qcow2', ...secret, path, '1M']);
    const failure = await failureOf(() => openImage(path, { format: 'qcow2' }));
    expect(failure).toMatchObject({ code: 'image-unsupported', message: `${path} is encrypted.` });
    expect(failure.advice).toContain('qemu-img convert');
  });
});

/** An image in a directory of its own, and base images beside that directory. */
function makeDirectories(parent: string): { path: string; named: string; linkToNamed: string } {
  const [own, named, linkToNamed] = ['own', 'named', 'alias'].map((name) => join(parent, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [own, named, join(parent, 'named-too'), join(parent, 'other')]) {
    mkdirSync(directory);
    makeSparseFile(join(directory, 'base'), MIB);
    symlinkSync('/etc/shadow', join(directory, 'link'));
  }
  symlinkSync(named, linkToNamed);
  return { path: join(own, 'image.qcow2'), named, linkToNamed };
}

/** QEMU measures how fast it derives a key, and gives up when the kernel has counted no CPU time meanwhile. */
function makeEncrypted(args: readonly string[]): void {
  for (let attempt = 1; ; attempt++)
    try {
      runTool('qemu-img', args);
      return;
    } catch (error) {
      const isChance = String(error).includes('Unable to get accurate CPU usage');
      if (!isChance || attempt === 20) throw error;
    }
}
