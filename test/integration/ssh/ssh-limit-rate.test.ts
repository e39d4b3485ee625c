import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { StallWatch } from '../../../src/pipeline/stall-watch.ts';
import { parseRateLimit } from '../../../src/rate-limit.ts';
import { connectSsh, type SshConnection } from '../../../src/store/sftp/ssh-connection.ts';
import type { PlacedStore } from '../../../src/store/store.ts';
import { watchedStore } from '../../../src/store/watched-store.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const { signal } = context;
const MEBIBYTE = 2 ** 20;

describeWithTools('a limited line', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  let connection: SshConnection | null;
  beforeAll(async () => {
    server = await startSshServer();
  });
  afterAll(() => server.stop());

  const storeWith = async (limit: string): Promise<PlacedStore> => {
    const limitRate = parseRateLimit(limit);
    if ('problem' in limitRate) throw new Error(limitRate.problem);
    connection = await connectSsh(server.destination, { ...server, limitRate }, context);
    const store = connection.store(join(server.directory, `store-${limit.length}`));
    await store.create(signal);
    return store;
  };

  test('carries what goes to the store and what comes from it no faster than the limit', async () => {
    const store = await storeWith('4M');
    await using _ = connection;
    const bytes = Buffer.alloc(4 * MEBIBYTE, 'x');
    const startMs = performance.now();
    await Promise.all(['a', 'b'].map((name) => store.put(name, [bytes], { signal })));
    const sentMs = performance.now() - startMs;
    expect((8 * 1000) / sentMs).toBeLessThan(4 * 1.05);
    let readBytes = 0;
    for (const name of ['a', 'b'])
      for await (const piece of store.get(name, signal)) readBytes += piece.length;
    const readMs = performance.now() - startMs - sentMs;
    expect(readBytes).toBe(8 * MEBIBYTE);
    expect((8 * 1000) / readMs).toBeLessThan(4 * 1.05);
  });

  test('is not taken for a dead one, however slow it is', async () => {
    const store = await storeWith('50k');
    await using _ = connection;
    let stalls = 0;
    // A write as large as the server takes would wait for five seconds.
    using watch = new StallWatch(3000, () => stalls++);
    const watched = watchedStore(store, {
      waiting: () => watch.waiting(),
      progressed: () => watch.progressed(),
    });
    let written = 0;
    await watched.put('slow', [Buffer.alloc(270_000)], { signal, onWritten: (bytes) => (written += bytes) });
    expect([stalls, written]).toEqual([0, 270_000]);
  });

  test('lets go at once of a put that is aborted, and of a file that is not read to its end', async () => {
    const store = await storeWith('100k');
    await using _ = connection;
    const stop = new AbortController();
    const reason = new Error('enough');
    const put = store.put('big', [Buffer.alloc(64 * MEBIBYTE)], {
      signal: stop.signal,
      onWritten: () => stop.abort(reason),
    });
    await expect(put).rejects.toBe(reason);
    expect(await store.list('', signal, 'leftovers')).toEqual([]);
    await store.put('small', [Buffer.alloc(100_000)], { signal });
    for await (const piece of store.get('small', signal)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
  });
});
