import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRecordStore } from '../../src/guest/record-store.ts';
import { ferriedGuest, stageStarted, type FerriedGuest } from '../support/guests/ferried-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { errorOf, recordsOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { GUEST_ADDRESS, GUEST_TAP, joinGuest, shareNetwork } from '../support/ssh/shared-network.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

/** Well known: it is also probed without --probe. */
const PORT = 8080;
const MAC = '52:54:00:07:07:77';
const missing =
  umlMissing() ?? networkLabMissing() ?? (existsSync('/dev/net/tun') ? null : 'there is no /dev/net/tun');

/** The tests run in this order, and each begins with the guest on the old host. */
describeUnless(missing, 'a guest that answers in the network', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    await shareNetwork(hosts);
    guest = await ferriedGuest(hosts, 'web', {
      network: { hostName: 'web', address: `${GUEST_ADDRESS}/24`, port: PORT },
      extraArgs: [`eth0=tuntap,${GUEST_TAP},${MAC}`],
    });
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const migrate = async (...options: string[]) =>
    hosts.run([...(await guest.migrateArguments()), ...options]);

  test('is not halted if a probe needs an address that is not known', async () => {
    await hosts.lab.runOn('old', ['ip', 'neigh', 'flush', 'dev', 'br0']);
    const pid = guest.pid();
    const error = errorOf(await migrate('--probe', 'tcp:22'));
    expect(error).toMatchObject({ code: 'usage', exitStatus: 2 });
    expect(error.advice).toContain('--address');
    expect(guest.pid()).toBe(pid);
  });

  test('comes back by itself if it does not answer on the new host as before', async () => {
    await joinGuest(hosts, 'new', false);
    const probes = ['--address', GUEST_ADDRESS, '--probe', `tcp:${PORT}`, '--probe', 'tcp:22'];
    const moved = await migrate(...probes, '--probe-for', '5s');
    await joinGuest(hosts, 'new', true);
    expect(errorOf(moved)).toMatchObject({ code: 'probe-failed', exitStatus: 16 });
    expect(errorOf(moved).message).toContain('It runs here again');
    expect(recordsOf(moved).filter(({ type }) => type === 'probed')).toMatchObject([
      { probe: `tcp:${PORT}`, outcome: 'failed', before: `answered web boots=1 ${MAC}` },
      { probe: 'tcp:22', outcome: 'not-required', after: null },
    ]);
    expect(guest.runsOn('new')).toBe(false);
    expect(await hosts.guests()).toMatchObject([{ name: 'web', state: 'running' }]);
    expect(await guest.state()).toBe('running');
    await rm(join(hosts.new.images, 'web.img'));
  });

  test('comes back without --probe, too, if a port that answered here does not answer there', async () => {
    await joinGuest(hosts, 'new', false);
    const moved = await migrate('--address', GUEST_ADDRESS, '--probe-for', '2s');
    await joinGuest(hosts, 'new', true);
    const error = errorOf(moved);
    expect(error).toMatchObject({ code: 'probe-failed', exitStatus: 16 });
    expect(error.advice).toContain('--probe none');
    expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([true, false]);
    await rm(join(hosts.new.images, 'web.img'));
  });

  test('stays there if it answers only the new host, which warns and keeps the way back open', async () => {
    const noWay = ['route', 'add', 'unreachable', GUEST_ADDRESS];
    const argv = [...(await guest.migrateArguments()), '--address', GUEST_ADDRESS, '--probe-for', '12s'];
    const command = hosts.start(argv);
    await command.printed(stageStarted('halt'));
    expect((await hosts.lab.runOn('old', ['ip', ...noWay])).exitStatus).toBe(0);
    const moved = await command.ended;
    await hosts.lab.runOn('old', ['ip', 'route', 'del', 'unreachable', GUEST_ADDRESS]);
    expect(resultOf(moved)).toMatchObject({
      probes: [
        { probe: `tcp:${GUEST_ADDRESS}:${PORT}`, isChosen: false, outcome: 'passed', isOnlyThere: true },
      ],
      committed: false,
    });
    expect(warningsOf(moved)).toMatchObject([{ code: 'probe-differs' }]);
    await guest.expectMoved();
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
  });

  test('stays there with --keep-open, and is taken back by hand', async () => {
    const command = `test "$VMFERRY_PHASE" = before && test "$VMFERRY_GUEST" = web`;
    const moved = await migrate('--keep-open', '--probe', `exec:${command}`, '--probe-for', '1s');
    expect(errorOf(moved)).toMatchObject({ code: 'probe-failed' });
    expect(errorOf(moved).advice).toContain('vmferry revert web');
    await guest.expectMoved();
    expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ wasRunningThere: true });
    await rm(join(hosts.new.images, 'web.img'));
    await guest.expectUnmoved();
  });

  test('moves if it answers as before; what it says of itself may differ, and keeps the way back open', async () => {
    const moved = await migrate('--address', GUEST_ADDRESS, '--probe', `tcp:${PORT}`);
    const report = resultOf(moved);
    expect(report).toMatchObject({
      type: 'moved',
      probes: [{ probe: `tcp:${PORT}`, isChosen: true, outcome: 'passed' }],
      committed: false,
    });
    const [warning] = recordsOf(moved).filter(({ code }) => code === 'probe-differs');
    expect(warning?.['message']).toContain('introduces itself in another way');
    await guest.expectMoved();
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
  });

  test('moves for good if it answers exactly as before', async () => {
    const report = resultOf(await migrate('--probe', 'exec:true'));
    expect(report).toMatchObject({ type: 'moved', probes: [{ outcome: 'passed' }], committed: true });
    await guest.expectMoved();
  });

  test('has no way back once the move is committed, and may be committed again', async () => {
    const error = errorOf(await hosts.run(['revert', 'web', '--json']));
    expect(error).toMatchObject({ code: 'guest-fenced', exitStatus: 10 });
    expect(error.message).toContain('was committed');
    await guest.expectMoved();
    expect(existsSync(join(hosts.old.images, 'web.img'))).toBe(true);
    const committed = resultOf(await hosts.run(['commit', 'web', '--json']));
    expect(committed).toMatchObject({ type: 'committed', guest: 'web', destination: 'new' });
    // Only while the guest runs there.
    const inUse = await open(join(hosts.old.images, 'web.img'));
    const refused = errorOf(await hosts.run(['commit', 'web', '--delete-source', '--json']));
    expect(refused).toMatchObject({ code: 'image-in-use' });
    await inUse.close();
    const image = join(hosts.old.images, 'web.img');
    // As if an earlier move had brought it here with the kernel of its own disk.
    const kernel = join(hosts.old.stateDir, 'kernel/web-12');
    await mkdir(join(hosts.old.stateDir, 'kernel'));
    await writeFile(kernel, '');
    const records = createRecordStore(join(hosts.old.stateDir, 'guests'));
    const record = await records.read('web');
    if (record === null) throw new Error('web is not remembered');
    await records.write({ ...record, definition: { ...record.definition, kernel } });
    const again = resultOf(await hosts.run(['commit', 'web', '--delete-source', '--json']));
    expect(again).toMatchObject({ type: 'committed', images: [], deleted: [image, kernel] });
    for (const path of [image, kernel]) expect(existsSync(path)).toBe(false);
    expect((await hosts.runOnNew(['halt', 'web'])).exitStatus).toBe(0);
    expect(errorOf(await hosts.run(['commit', 'web', '--json']))).toMatchObject({
      code: 'guest-not-running',
    });
  });
});
