import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { networkLabMissing, startNetworkLab, type NetworkLab } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const MIB = 1 << 20;
/** Silence is noticed after 20 s; the rest allows for a busy machine. */
const BOUND_MS = 30_000;

describeUnless(networkLabMissing(), 'a line through a network that breaks', () => {
  let lab: NetworkLab;
  let viaOld: string;
  beforeAll(async () => {
    lab = await startNetworkLab();
    // This program runs on the host `old`; the test itself does not.
    const relay = join(import.meta.dirname, '../../support/ssh/relay-tcp.mjs');
    const there = [...lab.prefix('old'), process.execPath, relay, '%h', '%p'];
    viaOld = await lab.server.configWith(`ProxyCommand ${there.join(' ')}`);
  });
  afterAll(async () => {
    await lab.stop();
  });

  test('is an error in bounded time if it is cut during a put', async () => {
    const directory = join(lab.server.directory, 'cut');
    await mkdir(directory);
    await using connection = await connectSsh('new', { sshConfigFile: viaOld }, context);
    await lab.rate('80mbit');
    const cuts: Promise<void>[] = [];
    let cutAt = 0;
    const put = connection.store(directory).put('pack', [Buffer.alloc(64 * MIB)], {
      ...context,
      onWritten: () => {
        cutAt ||= performance.now();
        if (cuts.length === 0) cuts.push(lab.cut());
      },
    });
    await expect(put).rejects.toMatchObject({ code: 'connection-lost', transient: true });
    expect(performance.now() - cutAt).toBeLessThan(BOUND_MS);
    expect(await connection.closed).toMatchObject({ code: 'connection-lost' });
    await Promise.all(cuts);
    await lab.mend();
    await lab.rate(null);
  });

  test('continues after a short interruption', async () => {
    const directory = join(lab.server.directory, 'short');
    await mkdir(directory);
    await using connection = await connectSsh('new', { sshConfigFile: viaOld }, context);
    await lab.cut();
    const put = connection.store(directory).put('pack', [Buffer.alloc(MIB)], context);
    await lab.mend();
    await put;
    expect(await readdir(directory)).toEqual(['pack']);
  });

  test('is an error at once if it is reset', async () => {
    await using connection = await connectSsh('new', { sshConfigFile: viaOld }, context);
    const remote = await connection.exec('cat', context.signal);
    await lab.reset();
    const resetAt = performance.now();
    expect(await remote.exited).toEqual({ exitStatus: null, signal: null });
    await expect(remote.stdin.write('x')).rejects.toMatchObject({ code: 'connection-lost' });
    expect(await connection.closed).toMatchObject({ code: 'connection-lost' });
    // It must not take until the silence is noticed.
    expect(performance.now() - resetAt).toBeLessThan(10_000);
  });
});
