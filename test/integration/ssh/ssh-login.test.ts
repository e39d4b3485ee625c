import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFile, chmod, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import process from 'node:process';
import { asFailure, type Failure } from '../../../src/failure.ts';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { run } from '../../../src/system/processes.ts';
import { readSshHost } from '../../../src/ssh/config/read-ssh-host.ts';
import { failureAsSshDoes } from '../../support/ssh/as-ssh-does.ts';
import { makeKey } from '../../support/ssh/ssh-client-files.ts';
import { freePort, startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { descendantsOf } from '../../support/programs/process-tree.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

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

/** Throws unless the configuration gives a working connection. */
async function greet(sshConfigFile: string, destination = 'server'): Promise<string> {
  await using connection = await connectSsh(destination, { sshConfigFile }, context);
  const remote = await connection.exec('echo hello', context.signal);
  return Buffer.concat(await remote.stdout.toArray()).toString();
}

/** A private key file as ssh-keygen makes it for a device, without the secret part, which is not needed here. */
async function writeDeviceKey(path: string): Promise<void> {
  const field = (text: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const publicKey = Buffer.concat(['sk-ssh-ed25519@openssh.com', 'x'.repeat(32), 'ssh:'].map(field));
  const header = Buffer.concat(['none', 'none', ''].map(field));
  const count = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    header,
    count,
    field(publicKey.toString('latin1')),
    field('secret'),
  ]);
  const text = body.toString('base64');
  await writeFile(path, `-----BEGIN OPENSSH PRIVATE KEY-----\n${text}\n-----END OPENSSH PRIVATE KEY-----\n`, {
    mode: 0o600,
  });
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

  test('is refused without a key that the server knows, and the message names the tried keys', async () => {
    const stranger = await startSshServer();
    await copyFile(`${strangeKey}.pub`, stranger.authorizedKeysFile);
    const failure = await refusalOf(stranger.sshConfigFile);
    expect(failure.code).toBe('login-refused');
    expect(failure.message).toContain(stranger.identityFile);
    expect(failure.advice).toContain('ssh-copy-id');
    await stranger.stop();
  });

  test('is refused if the server accepts only methods that vmferry does not offer', async () => {
    const other = await startSshServer({
      sshdConfig: ['PubkeyAuthentication no', 'PasswordAuthentication yes'],
    });
    const failure = await refusalOf(other.sshConfigFile);
    expect(failure).toMatchObject({ code: 'login-refused' });
    expect(failure.message).toContain('it accepts only password');
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

  test('does not use a key file that others may read, like ssh', async () => {
    const other = await startSshServer();
    const key = join(other.directory, 'a key');
    await copyFile(other.identityFile, key);
    const config = await other.configWith('Host server', `  IdentityFile "${key}"`);
    await rm(other.identityFile);
    await chmod(key, 0o640);
    const failure = await failureAsSshDoes(config);
    expect(failure?.code).toBe('login-refused');
    expect(failure?.message).toContain(`${key} is not used, because others may read or write that file`);
    expect(failure?.advice).toContain(`chmod 600 '${key}'`);
    await run('sh', ['-c', failure?.advice?.split(': ').pop() ?? '']);
    expect(await failureAsSshDoes(config)).toBeNull();
    await other.stop();
  });

  test('reports that a key of a FIDO device cannot be used, not that it needs a passphrase', async () => {
    const other = await startSshServer();
    const key = join(other.directory, 'id_ed25519_sk');
    await writeDeviceKey(key);
    const config = await other.configWith('Host server', `  IdentityFile ${key}`);
    await rm(other.identityFile);
    const failure = await refusalOf(config);
    expect(failure.message).toContain(`vmferry, unlike ssh, cannot use keys of FIDO devices: ${key}`);
    expect(failure.advice).toContain('ssh-keygen -t ed25519 -f ');
    await other.stop();
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
    // Without a .pub file, the key file itself shows which of the agent's keys it is.
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

  test('works without an agent if the agent is gone', async () => {
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

  test('uses a jump host, and ends its program afterwards', async () => {
    const before = new Set(await descendantsOf(process.pid));
    const config = await viaJump(`  UserKnownHostsFile ${jump.knownHostsFile}`);
    expect(await greet(config)).toBe('hello\n');
    expect(jump.log()).toContain('Accepted publickey');
    await expectNoNewDescendants(before);
  });

  test('never accepts an unknown key of a jump host', async () => {
    const failure = await refusalOf(
      await viaJump('  UserKnownHostsFile /dev/null', '  StrictHostKeyChecking no'),
    );
    expect(failure).toMatchObject({ code: 'host-unreachable' });
    expect(failure.message).toMatch(/Host key verification failed/);
  });

  test('uses a proxy command', async () => {
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

  test('reports the error output of a failed proxy command', async () => {
    const failure = await refusalOf(
      await server.configWith('Host server', '  ProxyCommand echo the bridge is out >&2; exit 1'),
    );
    expect(failure).toMatchObject({ code: 'host-unreachable' });
    expect(failure.message).toContain('the bridge is out');
  });

  test('fails if nothing listens', async () => {
    const port = await freePort();
    const failure = await refusalOf(await server.configWith(`Port ${port}`));
    expect(failure).toMatchObject({ code: 'host-unreachable', transient: true });
    expect(failure.message).toContain(`port ${port}`);
    expect(failure.message).toContain('nothing listens there');
  });

  test('fails if no host has the name', async () => {
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

  test('fails if a command of the configuration takes too long, and names the limit', async () => {
    const config = await server.configWith('Match host server exec "sleep 60; true"', '  Port 1');
    const { signal } = context;
    const started = Date.now();
    const read = readSshHost('server', { sshConfigFile: config, answerLimitMs: 300 }, signal);
    await expect(read).rejects.toMatchObject({
      code: 'host-unreachable',
      message: expect.stringMatching(/within 0\.3 s.*‘Match exec’/) as unknown,
      advice: `See how long it takes with: time ssh -F ${config} -G -- server`,
    });
    expect(Date.now() - started).toBeLessThan(20_000);
  });

  test('waits for a command of the configuration', async () => {
    const config = await server.configWith('Match host server exec "sleep 1"', `  Port ${server.port}`);
    expect(await greet(config)).toBe('hello\n');
  });

  test.each([
    ['KexAlgorithms sntrup761x25519-sha512@openssh.com', 'key exchange', 'curve25519-sha256'],
    ['Ciphers aes256-cbc', 'cipher', 'aes128-gcm@openssh.com'],
    ['MACs umac-64-etm@openssh.com\nCiphers aes128-ctr', 'message authentication code', 'hmac-sha2-256'],
  ])('is missing if the server has only %s', async (line, what, cure) => {
    const narrow = await startSshServer({ sshdConfig: line.split('\n') });
    const [keyword = '', algorithm = ''] = (line.split('\n')[0] ?? '').split(' ');
    const failure = await refusalOf(narrow.sshConfigFile);
    expect(failure).toMatchObject({ code: 'host-unreachable', transient: false });
    expect(failure.message).toContain(`have no ${what} in common. The host offers only ${algorithm}; `);
    expect(failure.advice).toMatch(new RegExp(`In its sshd_config, add ${cure}\\S* to ${keyword}`));
    await narrow.stop();
  });

  test('reports a configuration that ssh does not accept', async () => {
    const failure = await refusalOf(await server.configWith('Nonsense yes'));
    expect(failure).toMatchObject({ code: 'usage' });
    expect(failure.message).toContain('Bad configuration option');
  });

  test('reports a server without SFTP', async () => {
    const bare = await startSshServer({ sshdConfig: ['Subsystem sftp /bin/false'] });
    expect(await refusalOf(bare.sshConfigFile)).toMatchObject({ code: 'transfer-failed' });
    await bare.stop();
  });

  test('ends if the caller aborts', async () => {
    const reason = new Error('stopped by the test');
    const stop = new AbortController();
    const connecting = connectSsh('server', server, { ...context, signal: stop.signal });
    stop.abort(reason);
    await expect(connecting).rejects.toBe(reason);
  });
});

/** Waits until programs that were told to end are gone. */
async function expectNoNewDescendants(before: ReadonlySet<number>): Promise<void> {
  for (let left = 100; left > 0; left--) {
    const now = (await descendantsOf(process.pid)).filter((pid) => !before.has(pid));
    if (now.length === 0) return;
    // There is no event for the end of processes that are not our children.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('a program is left behind');
}
