import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../../src/events.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { ImageTarget } from '../../../src/image/target/image-target.ts';
import { rehearseBoot } from '../../../src/operations/receive/rehearsal/rehearse-boot.ts';
import { BROKEN, fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { readGuestFile } from '../../support/guests/uml-guest.ts';
import { runTool, scratchDirectory } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const context: Context = { signal: new AbortController().signal, report: () => undefined };
const fstab = '/dev/ubda / ext3 defaults 0 1\n';
const adapted = '/dev/vda / ext3 defaults 0 1\n';
const archive = Buffer.from('archive!');

/** A guest of a fake driver, whose incomplete image has an ext3 file system. */
describeWithTools('the boot of a rehearsal', ['mke2fs', 'debugfs'], () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  let directory: string;
  let target: ImageTarget;
  let initrd: string;
  beforeEach(async () => {
    scratch = scratchDirectory();
    directory = join(scratch.path, 'images');
    mkdirSync(directory);
    mkdirSync(join(scratch.path, 'tree/etc'), { recursive: true });
    writeFileSync(join(scratch.path, 'tree/etc/fstab'), fstab);
    target = await ImageTarget.create(join(directory, 'web.img'), 8 * 2 ** 20);
    runTool('mke2fs', ['-qF', '-t', 'ext3', '-d', join(scratch.path, 'tree'), target.workingPath]);
    initrd = join(scratch.path, 'initrd');
    writeFileSync(initrd, 'original');
  });
  afterEach(async () => {
    await target[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  const rehearsalOf = (guest: GuestDefinition) => ({
    guest,
    root: { path: target.path, offset: 0 },
    edits: [{ path: '/etc/fstab', before: fstab, after: adapted }],
    bootArchive: archive.toString('base64'),
    timeoutMs: 1000,
    targets: [target],
    onCopied: () => undefined,
  });
  const bootFilesOf = (name: string) => ({
    kernel: join(scratch.path, 'made', `${name}.kernel`),
    initrd: join(scratch.path, 'made', `${name}.initrd`),
  });

  /** Nothing but the incomplete image is left, and that is as it was. */
  async function expectAsBefore(bytes: Buffer): Promise<void> {
    expect(readdirSync(directory)).toEqual(['web.img.partial']);
    expect(readFileSync(target.workingPath).equals(bytes)).toBe(true);
    expect(readdirSync(join(scratch.path, 'made'))).toEqual([]);
  }

  test('is of a copy that was adapted, and leaves the incomplete image as it was', async () => {
    const driver = fakeDriver();
    const seen: { name: string; fstab: string; initrd: string }[] = [];
    const start: typeof driver.start = async (definition, ...rest) => {
      const [disk] = definition.disks;
      seen.push({
        name: definition.name,
        fstab: (await readGuestFile(disk?.path ?? '', '/etc/fstab')).toString(),
        initrd: readFileSync(definition.initrd ?? '', 'utf8'),
      });
      writeFileSync(disk?.path ?? '', 'what the guest writes');
      return driver.start(definition, ...rest);
    };
    const before = readFileSync(target.workingPath);
    const guest = fakeDefinition('web', [target.path], { initrd });
    const dependencies = { drivers: [{ ...driver, start }], bootFilesOf };
    const seconds = await rehearseBoot(rehearsalOf(guest), dependencies, context);
    expect(seconds).toBeGreaterThan(0);
    const name = expect.stringMatching(/^vmferry-rehearse-/);
    expect(seen).toEqual([{ name, fstab: adapted, initrd: 'originalarchive!' }]);
    expect(driver.running.size).toBe(0);
    await expectAsBefore(before);
  });

  test('that fails is told as one, and leaves nothing either', async () => {
    const before = readFileSync(target.workingPath);
    const guest = fakeDefinition('web', [target.path], { initrd, commandLine: [BROKEN] });
    const booting = rehearseBoot(rehearsalOf(guest), { drivers: [fakeDriver()], bootFilesOf }, context);
    await expect(booting).rejects.toMatchObject({ code: 'boot-failed' });
    await expectAsBefore(before);
  });

  test('first ends the guest that a killed receiver left on the copy, and no other', async () => {
    const left = fakeDefinition('vmferry-rehearse-1', [join(directory, '.web.img.partial.rehearsal')]);
    const driver = fakeDriver(left, fakeDefinition('mail', [join(directory, 'mail.img')]));
    const guest = fakeDefinition('web', [target.path], { initrd });
    await rehearseBoot(rehearsalOf(guest), { drivers: [driver], bootFilesOf }, context);
    expect(driver.history[0]).toBe('halt vmferry-rehearse-1');
    expect([...driver.running.keys()]).toEqual(['mail']);
  });

  test('is refused for a disk that was not begun', async () => {
    const guest = fakeDefinition('web', [target.path, join(directory, 'other.img')], { initrd });
    const driver = fakeDriver();
    const booting = rehearseBoot(rehearsalOf(guest), { drivers: [driver], bootFilesOf }, context);
    await expect(booting).rejects.toMatchObject({ code: 'protocol-violation' });
    expect(driver.history).toEqual([]);
    expect(readdirSync(directory)).toEqual(['web.img.partial']);
  });
});
