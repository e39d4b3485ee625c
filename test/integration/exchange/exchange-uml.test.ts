import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { listGuests } from '../../../src/operations/guests/guests.ts';
import { haltGuest } from '../../../src/operations/guests/halt-guest.ts';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  GUEST_MEMORY_BYTES,
  quickBoot,
  waitForConsole,
  type BootedGuest,
  type GuestImage,
} from '../../support/guests/uml-guest.ts';
import { umlKernel, umlMissing } from '../../support/guests/uml-kernel.ts';
import { runTool } from '../../support/images/images.ts';
import { describeUnless, findTool } from '../../support/programs/tools.ts';

const missing = umlMissing() ?? (findTool('bzip2') === null ? 'bzip2 is not installed' : null);

describeUnless(missing, 'a User Mode Linux guest', () => {
  let world: ExchangeWorld;
  let booted: BootedGuest;
  let image: GuestImage;

  beforeEach(async () => {
    world = new ExchangeWorld();
    const umlDir = join(world.path, 'uml');
    world.drivers = [createUmlDriver({ ...process.env, UML_DIR: umlDir })];
    image = await buildGuestImage({
      path: join(world.path, 'debian-root'),
      dataBytes: 65_536,
      onCtrlAltDel: 'quick-poweroff',
    });
    booted = await bootUmlGuest({ image: image.path, name: 'debian', umlDir });
  });

  afterEach(async () => {
    for (const { pid } of await listGuests(world.dependencies(), world.context))
      if (pid !== null) process.kill(-pid, 'SIGKILL');
    await booted.stop();
    await world[Symbol.asyncDispose]();
  });

  test('is exported while it waits; its image, compressed with bzip2, is imported, verified and booted by its old command line', async () => {
    const archive = join(world.path, 'debian.tar.zst');
    const exported = await world.export('debian', { output: archive, hold: 'pause' });
    expect(exported).toMatchObject({ guest: 'debian', consistency: 'frozen' });
    const [running] = await listGuests(world.dependencies(), world.context);
    expect(running).toMatchObject({ state: 'running', pid: booted.pid });
    const copy = join(world.path, 'copy.img');
    expect(await world.import({ from: archive, to: copy })).toMatchObject({
      guest: 'debian',
      checked: 'fingerprints',
    });
    expect(await damagedGuestFiles(copy, image.files)).toEqual([]);

    const halt = { guest: 'debian', forceHalt: false, haltTimeoutMs: 60_000 };
    await haltGuest(halt, world.dependencies(), world.context);
    const sizeBytes = readFileSync(image.path).length;
    runTool('bzip2', ['-1', image.path]);
    const definitionFile = join(world.path, 'debian.sh');
    const words = [
      umlKernel(),
      'ubd0=debian-root',
      'root=/dev/ubda rw',
      ...quickBoot,
      `mem=${GUEST_MEMORY_BYTES / 2 ** 20}M`,
      'umid=debian con=null con0=null,fd:1',
    ];
    writeFileSync(definitionFile, `#!/bin/sh\nexec ${words.join(' ')}\n`);
    const to = join(world.path, 'debian.img');
    const { started, disks } = await world.import({
      from: `${image.path}.bz2`,
      to,
      start: { bootTimeoutMs: 120_000, oldHostIsGone: false, ask: null, definitionFile },
    });
    expect(disks).toMatchObject([{ target: to, sizeBytes }]);
    if (started === null) throw new Error('it was not started');
    await waitForConsole(started.consoleLog, /GUEST-UP boots=2/);
    const [again] = await listGuests(world.dependencies(), world.context);
    expect(again).toMatchObject({ name: 'debian', state: 'running', disks: [{ path: to }] });
  });
});
