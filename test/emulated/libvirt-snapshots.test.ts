import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../src/events.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import { tellOfEarlierStates } from '../../src/guest/preflight/earlier-states.ts';
import type { StillDisk } from '../../src/hold/still-guest.ts';
import { openContentDisks } from '../../src/operations/exchange/content-disks.ts';
import { lookAtDisks, type Attempt } from '../../src/operations/migrate/preflight-disks.ts';
import { Resources } from '../../src/pipeline/resources.ts';
import { run } from '../../src/system/processes.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { failureOf } from '../support/failures.ts';
import { LabGuests, emulated, onQcow2, plain } from '../support/guests/libvirt-guests.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const context: Context = { signal: new AbortController().signal, report: () => undefined };

describeUnless(libvirtMissing() ?? toolsMissing('qemu-img'), 'a guest of libvirt with snapshots', () => {
  let lab: LibvirtLab;
  let driver: ReturnType<typeof createLibvirtDriver>;
  const scratch = scratchDirectory();
  let guests: LabGuests;

  beforeAll(async () => {
    lab = await startLibvirt();
    driver = createLibvirtDriver(lab.environment);
    guests = new LabGuests(lab, driver);
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  test('the fence of a guest with snapshots leaves them as they are, and is put back exactly', async () => {
    const path = join(scratch.path, 'past.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    const definition = onQcow2('past', path);
    await driver.keep(definition, context);
    await guests.virsh('snapshot-create-as', 'past', 'inner');
    await guests.virsh('start', 'past');
    for (const name of ['one', 'two']) await guests.virsh('snapshot-create-as', 'past', name, '--disk-only');
    await guests.virsh('destroy', 'past');
    const state = async () =>
      Promise.all([
        guests.virsh('dumpxml', '--inactive', 'past'),
        guests.virsh('snapshot-list', 'past', '--tree'),
        ...['inner', 'one', 'two'].map((name) => guests.virsh('snapshot-dumpxml', 'past', name)),
        guests.virsh('snapshot-current', 'past', '--name'),
      ]);
    const before = await state();
    expect(before[0]).toContain('<backingStore');
    const guest = (await guests.known('past'))?.definition ?? definition;
    const fence = await driver.fence(guest, context);
    expect((await guests.known('past'))?.unsupported?.code).toBe('guest-fenced');
    expect((await lab.virsh('start', 'past')).exitStatus).not.toBe(0);
    expect((await state()).slice(1)).toEqual(before.slice(1));
    await driver.unfence(guest, fence, context);
    expect(await state()).toEqual(before);
    const consoleLog = join(scratch.path, 'past.log');
    await driver.start(guest, { consoleLog, timeoutMs: 60_000 }, context);
    await guests.virsh('destroy', 'past');
    expect(await state()).toEqual(before);
    // libvirt keeps the guest as long as it has snapshots.
    expect(await failureOf(() => driver.drop(guest, context))).toMatchObject({ code: 'guest-unsupported' });
  });

  test('a copy at the same path has none of the images that the guest was built on', async () => {
    const path = join(scratch.path, 'flat.img');
    writeFileSync(path, Buffer.alloc(2 ** 20));
    const definition = emulated(plain('flat', path));
    const below =
      '<backingStore type="file"><format type="raw"/><source file="/nowhere/base.img"/></backingStore>';
    const text = definition.native?.text.replace('<target dev="vda"', `${below}<target dev="vda"`) ?? '';
    expect(text).toContain('/nowhere/base.img');
    await driver.keep({ ...definition, native: { text, beyond: [] } }, context);
    expect(await guests.virsh('dumpxml', '--inactive', 'flat')).not.toContain('/nowhere/base.img');
  });

  test('a guest whose definition names other images below a disk than the image does is refused', async () => {
    const [base, other, path] = ['base', 'other', 'over'].map((name) => join(scratch.path, `${name}.qcow2`));
    for (const file of [base, other])
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', file ?? '', '1M']);
    const over = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base ?? '', path ?? ''];
    await run('qemu-img', over);
    const define = async (below: string) => {
      const store = `<backingStore${below}<target dev="vda"`;
      const text = onQcow2('over', path ?? '').native?.text.replace('<target dev="vda"', store) ?? '';
      const file = join(scratch.path, 'over.xml');
      writeFileSync(file, text.replace(/<uuid>.*<\/uuid>/, ''));
      await guests.virsh('define', file);
      const found = (await guests.known('over'))?.unsupported;
      await guests.virsh('undefine', 'over');
      return found;
    };
    const below = (file = '', more = '') =>
      ` type="file"><format type="qcow2"/><source file="${file}"/>${more}</backingStore>`;
    expect(await define(below(base))).toBeUndefined();
    expect(await define(below(base, '<backingStore/>'))).toBeUndefined();
    for (const wrong of [below(other), below(base, `<backingStore${below(other)}`), '/>'])
      expect(await define(wrong)).toMatchObject({
        code: 'guest-unsupported',
        message: expect.stringContaining('names another backing file for the disk vda'),
      });
  });

  test('each snapshot is told of once, also if libvirt does not know it', async () => {
    const path = join(scratch.path, 'told.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    await driver.keep(onQcow2('told', path), context);
    await guests.virsh('snapshot-create-as', 'told', 'known');
    await run('qemu-img', ['snapshot', '-c', 'unknown', path]);
    const kept = await guests.known('told');
    if (kept === undefined) throw new Error('libvirt has no such guest');
    const guest = { ...kept, running: null, record: null };
    const messages: string[] = [];
    const telling: Context = {
      ...context,
      report: (event) => messages.push('message' in event ? event.message : event.type),
    };
    const expected = [
      'The snapshots of told stay behind: known (inside its images). Its disks are read as they are now.',
      'told.qcow2 has internal snapshots, which stay behind: unknown. The disk is read as it is now.',
    ];

    await using cleanup = new Resources();
    tellOfEarlierStates(guest, telling);
    const attempt: Attempt = async (work) => work();
    await lookAtDisks(guest, { everyBlock: true }, [driver], attempt, cleanup, telling);
    expect(messages.splice(0)).toEqual(expected);

    tellOfEarlierStates(guest, telling);
    const options = { everyBlock: true, toldSnapshots: kept.earlierStates?.insideImages };
    const [disk] = kept.definition.disks;
    const still = { image: path, imageFormat: 'qcow2', ...disk } as StillDisk;
    await openContentDisks({ disks: [still] }, options, cleanup, telling);
    expect(messages).toEqual(expected);
  });

  test('a guest is left alone while a block job copies a disk of it', async () => {
    const path = join(scratch.path, 'job.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    await driver.keep(onQcow2('job', path), context);
    await guests.virsh('start', 'job');
    await guests.virsh('snapshot-create-as', 'job', 'nightly', '--disk-only');
    expect((await guests.running('job')).unsupported).toBeUndefined();
    // It has no screen (`-display none`), and is libvirt's all the same.
    const ofQemu = await createQemuDriver({}).list(context);
    expect(ofQemu.map(({ definition }) => definition.name)).not.toContain('job');
    expect((await guests.running('job')).earlierStates?.text).toContain('nightly');
    await guests.virsh('blockcommit', 'job', 'vda', '--active', '--wait');
    expect((await guests.running('job')).unsupported).toMatchObject({
      message: 'A block job copies the disk vda of job to another image.',
    });
    await guests.virsh('blockjob', 'job', 'vda', '--pivot');
    const now = await guests.running('job');
    expect(now.unsupported).toBeUndefined();
    expect(now.definition.disks[0]?.path).toBe(path);
    await guests.virsh('destroy', 'job');
  });
});
