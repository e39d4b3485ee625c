import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asFailure, type Failure } from '../../src/failure.ts';
import { connectSsh } from '../../src/store/ssh-connection.ts';
import { run } from '../../src/system/processes.ts';
import { knownHostsLine, makeKey } from '../support/ssh-client-files.ts';
import { startSshServer, type TestSshServer } from '../support/ssh-server.ts';
import { describeWithTools } from '../support/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

describeWithTools('a host key', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  beforeAll(async () => {
    server = await startSshServer({ hostKeyTypes: ['ed25519', 'rsa', 'ecdsa'] });
  });
  afterAll(async () => {
    await server.stop();
  });
  const outcome = async (sshConfigFile: string): Promise<Failure | null> => {
    try {
      const connection = await connectSsh('server', { sshConfigFile }, context);
      await connection[Symbol.asyncDispose]();
      return null;
    } catch (error) {
      return asFailure(error);
    }
  };
  /** What happens with a known_hosts of these lines; ssh itself must come to the same. */
  const withKnownHosts = async (text: string, ...config: string[]): Promise<Failure | null> => {
    const file = join(server.directory, 'other_known_hosts');
    await writeFile(file, text);
    const sshConfigFile = await server.configWith(`UserKnownHostsFile ${file}`, ...config);
    const ssh = await run('ssh', ['-F', sshConfigFile, '-o', 'StrictHostKeyChecking=yes', 'server', 'true']);
    const failure = await outcome(sshConfigFile);
    expect({ accepted: failure === null }).toEqual({ accepted: ssh.exitStatus === 0 });
    return failure;
  };
  const lineOf = (type: 'ed25519' | 'rsa' | 'ecdsa'): Promise<string> =>
    knownHostsLine({ alias: '', ...server }, server.hostKeyFiles[type] ?? '');

  test.each(['ed25519', 'rsa', 'ecdsa'] as const)(
    'is accepted when only the %s one is known',
    async (type) => {
      expect(await withKnownHosts(await lineOf(type))).toBeNull();
    },
  );

  test('is accepted from a hashed known_hosts', async () => {
    const file = join(server.directory, 'hashed');
    await copyFile(server.knownHostsFile, file);
    await run('ssh-keygen', ['-H', '-f', file]);
    const hashed = await readFile(file, 'utf8');
    await rm(file);
    expect(hashed).toMatch(/^\|1\|/);
    expect(await withKnownHosts(hashed)).toBeNull();
  });

  test('that is unknown is refused, with its fingerprint and the command that accepts it', async () => {
    const failure = await withKnownHosts('', 'StrictHostKeyChecking no');
    expect(failure?.code).toBe('host-key-unknown');
    const shown = await run('ssh-keygen', ['-lf', server.hostKeyFiles.ed25519 ?? '']);
    expect(failure?.message).toContain(shown.stdout.split(' ')[1]);
    expect(failure?.advice).toMatch(/ssh -F \S+ -o StrictHostKeyChecking=ask server true/);
  });

  test('that is unknown is refused before anything of the login is sent', async () => {
    const quiet = await startSshServer({ sshdConfig: ['LogLevel VERBOSE'] });
    await rm(quiet.knownHostsFile);
    expect((await outcome(quiet.sshConfigFile))?.code).toBe('host-key-unknown');
    expect(quiet.log()).not.toMatch(/publickey|Accepted|Failed/);
    await quiet.stop();
  });

  test('that changed is refused, with the line that knows another one', async () => {
    const other = await makeKey(join(server.directory, 'another_host_key'));
    const changed = await knownHostsLine({ alias: '', ...server }, other);
    const failure = await withKnownHosts(`# a comment\n${changed}`);
    expect(failure?.code).toBe('host-key-changed');
    expect(failure?.message).toContain('other_known_hosts:2');
    expect(failure?.advice).toContain(`ssh-keygen -R '[127.0.0.1]:${server.port}' -f `);
  });

  test('of a type that is no longer offered looks changed', async () => {
    const ed25519Only = await startSshServer();
    const gone = await makeKey(join(ed25519Only.directory, 'gone'), 'rsa');
    await writeFile(ed25519Only.knownHostsFile, await knownHostsLine({ alias: '', ...ed25519Only }, gone));
    expect((await outcome(ed25519Only.sshConfigFile))?.code).toBe('host-key-changed');
    await ed25519Only.stop();
  });

  test('that is revoked is refused', async () => {
    const line = await lineOf('ed25519');
    const failure = await withKnownHosts(`${line}@revoked ${line.replace(/^\S+/, '*')}`);
    expect(failure).toMatchObject({ code: 'host-key-changed' });
    expect(failure?.message).toContain('revoked');
  });

  test('goes by its alias where one is configured', async () => {
    const line = (await lineOf('rsa')).replace(/^\S+/, 'the-name');
    expect(await withKnownHosts(line, 'HostKeyAlias the-name')).toBeNull();
    expect((await withKnownHosts(line))?.code).toBe('host-key-unknown');
  });

  test('known for the name without its port is accepted', async () => {
    expect(await withKnownHosts((await lineOf('ed25519')).replace(/^\S+/, '127.0.0.1'))).toBeNull();
  });
});
