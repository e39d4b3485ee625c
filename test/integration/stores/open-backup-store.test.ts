import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import type { Event } from '../../../src/events.ts';
import {
  openBackupStore,
  type OpenStoreDependencies,
  type StoreLocation,
} from '../../../src/operations/store-access/open-backup-store.ts';
import type { RememberedStore } from '../../../src/repository/store-memory.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { connectSsh, type SshConnection } from '../../../src/store/sftp/ssh-connection.ts';
import { startCuttingProxy } from '../../support/ssh/cutting-proxy.ts';
import { startPlainSftpServer, type PlainSftpServer } from '../../support/ssh/plain-sftp-server.ts';
import { startSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const { signal } = new AbortController();

let events: Event[];
let connections: SshConnection[];
let remembered: Map<string, RememberedStore>;
let context: { signal: AbortSignal; report: (event: Event) => void };
const dependencies: OpenStoreDependencies = {
  openDirectory: openDirectoryStore,
  connect: async (...where) => {
    const connection = await connectSsh(...where);
    connections.push(connection);
    return connection;
  },
  memory: { recall: (location) => Promise.resolve(remembered.get(location) ?? null) },
};
beforeEach(() => {
  events = [];
  connections = [];
  remembered = new Map();
  context = { signal, report: (event) => events.push(event) };
});

/** A memory in which a store was there before. */
function remember(location: string): void {
  const id = '0123456789abcdef0123456789abcdef';
  remembered.set(location, { id, isEncrypted: true, newest: new Map(), file: '/state/x.json' });
}

/** Null if this side has closed it. */
async function expectAllClosed(count: number): Promise<void> {
  expect(connections.length).toBe(count);
  expect(await Promise.all(connections.map(({ closed }) => closed))).toEqual(
    Array.from({ length: count }, () => null),
  );
}

describe('a store in a directory', () => {
  let scratch: string;
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'vmferry-open-store-'));
  });
  afterEach(() => rm(scratch, { recursive: true }));
  const open = (path: string, create: boolean): ReturnType<typeof openBackupStore> =>
    openBackupStore({ kind: 'directory', path }, { sshConfigFile: null, create }, dependencies, context);

  test('is made if that is wanted, but no directory above it', async () => {
    const missing = { code: 'store-missing', message: expect.stringContaining(`${scratch}/new`) };
    await expect(open(join(scratch, 'new'), false)).rejects.toMatchObject(missing);
    await using store = await open(join(scratch, 'new'), true);
    await store.put('a', [Buffer.from('x')], { signal });
    expect(await readdir(join(scratch, 'new'))).toEqual(['a']);
    expect((await stat(join(scratch, 'new'))).mode & 0o777).toBe(0o700);
    await open(join(scratch, 'new'), true);
    await open(join(scratch, 'new'), false);
    await expect(open(join(scratch, 'no', 'where'), true)).rejects.toMatchObject({
      code: 'target-missing',
      message: `There is no directory ${scratch}/no.`,
    });
    expect(await readdir(scratch)).toEqual(['new']);
    expect(events).toEqual([]);
  });

  test('is not made again if one is remembered there: its file system is not mounted', async () => {
    remember(join(scratch, 'mounted', 'store'));
    await mkdir(join(scratch, 'mounted'));
    await expect(open(join(scratch, 'mounted', 'store'), true)).rejects.toMatchObject({
      code: 'store-missing',
      advice: expect.stringMatching(/mounted.*\/state\/x\.json/),
    });
    expect(await readdir(join(scratch, 'mounted'))).toEqual([]);
  });

  test('has the same location from any working directory', async () => {
    const path = join(await realpath(scratch), 'store');
    await mkdir(path);
    await using store = await open(relative(process.cwd(), path), false);
    expect(store.location).toBe(path);
  });

  test('takes no limit for a line that it does not have', async () => {
    const limitRate = { text: '20M', rules: [], otherwise: 20 * 2 ** 20 };
    const location = { kind: 'directory', path: scratch } as const;
    const options = { sshConfigFile: null, create: true, limitRate };
    await expect(openBackupStore(location, options, dependencies, context)).rejects.toMatchObject({
      code: 'usage',
      message: `--limit-rate limits what goes over ssh, and ${scratch} is a directory here.`,
    });
  });

  test('cannot be a file', async () => {
    await writeFile(join(scratch, 'file'), '');
    await expect(open(join(scratch, 'file'), false)).rejects.toMatchObject({ code: 'store-missing' });
    await expect(open(join(scratch, 'file'), true)).rejects.toMatchObject({ code: 'transfer-failed' });
  });
});

describe('a store on a server without extensions', () => {
  let server: PlainSftpServer;
  beforeEach(async () => {
    server = await startPlainSftpServer();
  });
  afterEach(() => server.stop());
  const open = (path: string, create: boolean): ReturnType<typeof openBackupStore> =>
    openBackupStore(
      { kind: 'sftp', destination: server.destination, port: null, path },
      { sshConfigFile: server.sshConfigFile, create },
      dependencies,
      context,
    );

  test('is made in the directory in which logins begin, with a warning about missing promises', async () => {
    {
      await using store = await open('backups', true);
      expect(store.location).toBe(`plain:${server.directory}/backups`);
      await store.put('a', [Buffer.from('x')], { signal });
    }
    expect(await readdir(join(server.directory, 'backups'))).toEqual(['a']);
    expect(events).toEqual([
      { type: 'warning', code: 'store-promises-less', message: expect.stringMatching(/power.*one step/) },
    ]);
    {
      await using store = await open('.', false);
      expect((await store.list('backups', signal)).map(({ name }) => name)).toEqual(['a']);
    }
    await expectAllClosed(2);
  });

  test('is not made again if one is remembered there', async () => {
    remember(`plain:${server.directory}/backups`);
    await expect(open('backups', true)).rejects.toMatchObject({ code: 'store-missing' });
    expect(await readdir(server.directory)).not.toContain('backups');
    await expectAllClosed(1);
  });

  test('must be there; otherwise the connection is closed', async () => {
    await expect(open(join(server.directory, 'none'), false)).rejects.toMatchObject({
      code: 'store-missing',
    });
    await expect(open('none/none', true)).rejects.toMatchObject({
      code: 'target-missing',
      message: expect.stringContaining(`${server.directory}/none.`),
    });
    await writeFile(join(server.directory, 'file'), '');
    await expect(open('file', false)).rejects.toMatchObject({ code: 'store-missing' });
    await expect(open('file', true)).rejects.toMatchObject({ code: 'target-not-writable' });
    expect(events).toEqual([]);
    await expectAllClosed(4);
  });
});

describeWithTools('a store on OpenSSH’s server', ['ssh', 'sshd', 'ssh-keygen'], () => {
  test('is reached by the given port, and lacks no promise', async () => {
    await using server = await startSshServer();
    await mkdir(join(server.directory, 'backups'));
    const sshConfigFile = await server.configWith(`Host ${server.destination}\n  Port 1`);
    const location: StoreLocation = {
      kind: 'sftp',
      destination: server.destination,
      port: server.port,
      path: join(server.directory, 'backups'),
    };
    await using store = await openBackupStore(
      location,
      { sshConfigFile, create: false },
      dependencies,
      context,
    );
    expect(store.location).toBe(`sftp://${server.destination}:${server.port}${server.directory}/backups`);
    expect(await store.list('', signal)).toEqual([]);
    expect(store.shortcomings).toEqual([]);
    expect(events).toEqual([]);
  });

  test('is connected again after the connection was lost, with a warning', async () => {
    await using server = await startSshServer();
    const directory = join(server.directory, 'backups');
    let lives = 0;
    await using proxy = await startCuttingProxy(server.port, () => (lives++ === 0 ? 1 << 20 : Infinity));
    const sshConfigFile = await server.configWith(
      `Host ${server.destination}\n  HostKeyAlias [127.0.0.1]:${server.port}`,
    );
    {
      await using store = await openBackupStore(
        { kind: 'sftp', destination: server.destination, port: proxy.port, path: directory },
        { sshConfigFile, create: true },
        dependencies,
        context,
      );
      await store.put('guests/web/packs/one', [Buffer.alloc(4 << 20, 7)], { signal });
      expect((await store.list('guests/web/packs', signal))[0]).toMatchObject({
        name: 'one',
        sizeBytes: 4 << 20,
      });
    }
    expect(proxy.cuts()).toBe(1);
    expect(connections.length).toBe(2);
    expect(events).toEqual([
      {
        type: 'warning',
        code: 'other',
        message: expect.stringMatching(/was lost: .* Trying again in 1 s\.$/),
      },
    ]);
  });

  test('whose host key is unknown gets advice that accepts it for that port', async () => {
    await using server = await startSshServer();
    await writeFile(server.knownHostsFile, '');
    const opening = openBackupStore(
      { kind: 'sftp', destination: server.destination, port: server.port, path: '.' },
      { sshConfigFile: server.sshConfigFile, create: false },
      dependencies,
      context,
    );
    await expect(opening).rejects.toMatchObject({
      code: 'host-key-unknown',
      advice: expect.stringContaining(` -p ${server.port} `),
    });
  });
});
