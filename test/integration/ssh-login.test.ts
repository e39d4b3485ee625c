import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFile, copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import process from 'node:process';
import { asFailure, type Failure } from '../../src/failure.ts';
import { connectSsh } from '../../src/store/ssh-connection.ts';
import { run } from '../../src/system/processes.ts';
import { makeKey } from '../support/ssh-client-files.ts';
import { freePort, startSshServer, type TestSshServer } from '../support/ssh-server.ts';
import { descendantsOf } from '../support/process-tree.ts';
import { describeWithTools } from '../support/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

async function refusalOf(sshConfigFile: string, destination = 'server'): Promise<Failure> {
  try {
    const connection = await connectSsh(destination, { sshConfigFile }, context);
    await connection[Symbol.asyncDispose]();
  } catch (error) {
    return asFailure(error);
  }
  throw new Error('the connection was not refused');
}

/** Throws unless the configuration leads to a working connection. */
async function greet(sshConfigFile: string, destination = 'server'): Promise<string> {
  await using connection = await connectSsh(destination, { sshConfigFile }, context);
  const remote = await connection.exec('echo hello', context.signal);
  return Buffer.concat(await remote.stdout.toArray()).toString();
}

describeWithTools('logging in by ssh', ['ssh', 'sshd', 'ssh-keygen', 'ssh-agent', 'ssh-add'], () => {
  let server: TestSshServer;
  let agent: ChildProcess;
  let agentSocket: string;
  let lockedKey: string;
  let strangeKey: string;
  beforeAll(async () => {
    server = await startSshServer();
    agentSocket = join(server.directory, 'agent');
    agent = spawn('ssh-agent', ['-D', '-a', agentSocket], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => agent.stdout?.once('data', resolve));
    lockedKey = await makeKey(join(server.directory, 'locked'), 'ed25519', 'open sesame');
    strangeKey = await makeKey(join(server.directory, 'strange'), 'rsa');
    await appendFile(server.authorizedKeysFile, await readFile(`${lockedKey}.pub`));
  });
  afterAll(async () => {
    agent.kill();
    await server.stop();
  });
  const agentHolds = async (...keys: string[]): Promise<void> => {
    const env = {
      ...process.env,
      SSH_AUTH_SOCK: agentSocket,
      SSH_ASKPASS: join(server.directory, 'askpass'),
      SSH_ASKPASS_REQUIRE: 'force',
    };
    await run(
      'sh',
      ['-c', `printf '#!/bin/sh\\necho open sesame\\n' >"$SSH_ASKPASS"; chmod +x "$SSH_ASKPASS"`],
      {
        env,
      },
    );
    await run('ssh-add', ['-D'], { env });
    for (const key of keys) expect((await run('ssh-add', [key], { env })).exitStatus).toBe(0);
  };

  test('works with a key file', async () => {
    expect(await greet(server.sshConfigFile)).toBe('hello\n');
  });

  test.each(['rsa', 'ecdsa'] as const)('works with a key file of type %s', async (type) => {
    const key = await makeKey(join(server.directory, `id_${type}`), type);
    await appendFile(server.authorizedKeysFile, await readFile(`${key}.pub`));
    expect(await greet(await server.configWith(`IdentityFile ${key}`))).toBe('hello\n');
  });

  test('is refused without a key that the server knows, and says what was tried', async () => {
    const stranger = await startSshServer();
    await copyFile(`${strangeKey}.pub`, stranger.authorizedKeysFile);
    const failure = await refusalOf(stranger.sshConfigFile);
    expect(failure.code).toBe('login-refused');
    expect(failure.message).toContain(stranger.identityFile);
    expect(failure.advice).toContain('ssh-copy-id');
    await stranger.stop();
  });

  test('is refused where the server takes only what vmferry does not offer', async () => {
    const other = await startSshServer({
      sshdConfig: ['PubkeyAuthentication no', 'PasswordAuthentication yes'],
    });
    const failure = await refusalOf(other.sshConfigFile);
    expect(failure).toMatchObject({ code: 'login-refused' });
    expect(failure.message).toContain('it takes only password');
    await other.stop();
  });

  test('never prints a key', async () => {
    const stranger = await startSshServer();
    await rm(stranger.authorizedKeysFile);
    const failure = await refusalOf(stranger.sshConfigFile);
    const secret = (await readFile(stranger.identityFile, 'utf8')).split('\n').slice(1, -2);
    const shown = inspect(failure, { depth: 10, showHidden: true }) + (failure.advice ?? '');
    for (const line of secret) expect(shown).not.toContain(line);
    await stranger.stop();
  });

  test('takes a key with a passphrase from the agent', async () => {
    const sshConfigFile = await server.configWith(
      `IdentityAgent ${agentSocket}`,
      `Host server`,
      `  IdentityFile ${lockedKey}`,
    );
    await agentHolds();
    await rm(server.identityFile);
    const failure = await refusalOf(sshConfigFile);
    expect(failure).toMatchObject({ code: 'login-refused' });
    expect(failure.advice).toContain(`ssh-add ${lockedKey}`);
    await agentHolds(lockedKey);
    expect(await greet(sshConfigFile)).toBe('hello\n');
    // without the .pub beside it, the key file itself says which of the agent's keys it is
    await rm(`${lockedKey}.pub`);
    expect(await greet(sshConfigFile)).toBe('hello\n');
  });

  test('tries the agent’s other keys unless IdentitiesOnly', async () => {
    const other = await startSshServer();
    await copyFile(`${strangeKey}.pub`, other.authorizedKeysFile);
    await agentHolds(strangeKey);
    const free = await other.configWith(`IdentityAgent ${agentSocket}`, 'IdentitiesOnly no');
    expect(await greet(free)).toBe('hello\n');
    const only = await other.configWith(`IdentityAgent ${agentSocket}`, 'IdentitiesOnly yes');
    const failure = await refusalOf(only);
    expect(failure).toMatchObject({ code: 'login-refused' });
    expect(failure.message).not.toContain('agent');
    await other.stop();
  });

  test('does without an agent that is gone', async () => {
    const other = await startSshServer();
    expect(await greet(await other.configWith('IdentityAgent /nonexistent/agent'))).toBe('hello\n');
    await other.stop();
  });
});

describeWithTools('the way to a host by ssh', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  let jump: TestSshServer;
  beforeAll(async () => {
    [server, jump] = await Promise.all([startSshServer(), startSshServer({ alias: 'jump' })]);
  });
  afterAll(async () => {
    await Promise.all([server.stop(), jump.stop()]);
  });
  const viaJump = (...lines: string[]): Promise<string> =>
    server.configWith(
      'Host jump',
      `  HostName ${jump.address}`,
      `  Port ${jump.port}`,
      `  IdentityFile ${jump.identityFile}`,
      ...lines,
      'Host server',
      '  ProxyJump jump',
    );

  test('leads through a jump host, and takes it away afterwards', async () => {
    const before = new Set(await descendantsOf(process.pid));
    const config = await viaJump(`  UserKnownHostsFile ${jump.knownHostsFile}`);
    expect(await greet(config)).toBe('hello\n');
    expect(jump.log()).toContain('Accepted publickey');
    await expectNoNewDescendants(before);
  });

  test('never accepts a jump host’s key unseen', async () => {
    const failure = await refusalOf(
      await viaJump('  UserKnownHostsFile /dev/null', '  StrictHostKeyChecking no'),
    );
    expect(failure).toMatchObject({ code: 'host-unreachable' });
    expect(failure.message).toMatch(/Host key verification failed/);
  });

  test('leads through a proxy command', async () => {
    const config = await server.configWith(
      'Host server',
      '  HostName nowhere',
      '  HostKeyAlias known-server',
      `  ProxyCommand ssh -F ${jump.sshConfigFile} -W ${server.address}:%p jump`,
    );
    await appendFile(
      server.knownHostsFile,
      (await readFile(server.knownHostsFile, 'utf8')).replace(/^\S+/, 'known-server'),
    );
    expect(await greet(config)).toBe('hello\n');
  });

  test('says what a proxy command that fails had to say', async () => {
    const failure = await refusalOf(
      await server.configWith('Host server', '  ProxyCommand echo the bridge is out >&2; exit 1'),
    );
    expect(failure).toMatchObject({ code: 'host-unreachable' });
    expect(failure.message).toContain('the bridge is out');
  });

  test('is missing where nothing listens', async () => {
    const port = await freePort();
    const failure = await refusalOf(await server.configWith(`Port ${port}`));
    expect(failure).toMatchObject({ code: 'host-unreachable', transient: true });
    expect(failure.message).toContain(`port ${port}`);
    expect(failure.message).toContain('nothing listens there');
  });

  test('is missing where no host has the name', async () => {
    const failure = await refusalOf(server.sshConfigFile, 'no-such-host.invalid');
    expect(failure).toMatchObject({ code: 'host-unreachable', transient: true });
    expect(failure.message).toContain('no-such-host.invalid');
  });

  test.each(['-oProxyCommand=touch /tmp/x', '', 'a;b', '$(id)'])(
    'refuses %j for a destination',
    async (name) => {
      expect(await refusalOf(server.sshConfigFile, name)).toMatchObject({ code: 'usage' });
    },
  );

  test('tells of a configuration that ssh does not take', async () => {
    const failure = await refusalOf(await server.configWith('Nonsense yes'));
    expect(failure).toMatchObject({ code: 'usage' });
    expect(failure.message).toContain('Bad configuration option');
  });

  test('tells of a server without SFTP', async () => {
    const bare = await startSshServer({ sshdConfig: ['Subsystem sftp /bin/false'] });
    expect(await refusalOf(bare.sshConfigFile)).toMatchObject({ code: 'transfer-failed' });
    await bare.stop();
  });

  test('ends where the caller aborts', async () => {
    const reason = new Error('stopped by the test');
    const stop = new AbortController();
    const connecting = connectSsh('server', server, { ...context, signal: stop.signal });
    stop.abort(reason);
    await expect(connecting).rejects.toBe(reason);
  });
});

/** A program that was told to end is gone when its parent has been told. */
async function expectNoNewDescendants(before: ReadonlySet<number>): Promise<void> {
  for (let left = 100; left > 0; left--) {
    const now = (await descendantsOf(process.pid)).filter((pid) => !before.has(pid));
    if (now.length === 0) return;
    // Not our child's exit but its descendants': there is no event for that.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('a program is left behind');
}
