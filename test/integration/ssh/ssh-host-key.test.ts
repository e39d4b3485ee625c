import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Failure } from '../../../src/failure.ts';
import { run } from '../../../src/system/processes.ts';
import {
  acceptAsAdvised,
  connectionFailure,
  failureAsSshDoes,
  sshConnects,
} from '../../support/ssh/as-ssh-does.ts';
import { knownHostsLine, makeKey, type KeyType } from '../../support/ssh/ssh-client-files.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

describeWithTools('a host key', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  beforeAll(async () => {
    server = await startSshServer({ hostKeyTypes: ['ed25519', 'rsa', 'ecdsa'] });
  });
  afterAll(async () => {
    await server.stop();
  });
  /** Connects with these lines in known_hosts. ssh itself must give the same result. */
  const withKnownHosts = async (text: string, ...config: string[]): Promise<Failure | null> => {
    const file = join(server.directory, 'other_known_hosts');
    await writeFile(file, text);
    return failureAsSshDoes(
      await server.configWith('StrictHostKeyChecking yes', `UserKnownHostsFile ${file}`, ...config),
    );
  };
  const lineOf = (type: KeyType): Promise<string> =>
    knownHostsLine({ alias: '', ...server }, server.hostKeyFiles[type] ?? '');

  /** Lines for known_hosts by their key's type, with a marker before it or without. */
  const linesOf = async (lines: readonly string[]): Promise<string> => {
    const made = lines.map(async (line) => {
      const [type, marker] = line.split(' ').reverse() as [KeyType, string?];
      return `${marker === undefined ? '' : `${marker} `}${await lineOf(type)}`;
    });
    return (await Promise.all(made)).join('');
  };

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
    expect((await connectionFailure(quiet.sshConfigFile))?.code).toBe('host-key-unknown');
    expect(quiet.log()).not.toMatch(/publickey|Accepted|Failed/);
    await quiet.stop();
  });

  test('that changed is refused, and the message names the line of the known key', async () => {
    const other = await makeKey(join(server.directory, 'another_host_key'));
    const changed = await knownHostsLine({ alias: '', ...server }, other);
    const failure = await withKnownHosts(`# a comment\n${changed}`);
    expect(failure?.code).toBe('host-key-changed');
    expect(failure?.message).toContain('other_known_hosts:2');
    expect(failure?.advice).toContain(`ssh-keygen -R '[127.0.0.1]:${server.port}' -f `);
  });

  test('of a type that is no longer offered counts as changed', async () => {
    const ed25519Only = await startSshServer();
    const gone = await makeKey(join(ed25519Only.directory, 'gone'), 'rsa');
    await writeFile(ed25519Only.knownHostsFile, await knownHostsLine({ alias: '', ...ed25519Only }, gone));
    expect((await connectionFailure(ed25519Only.sshConfigFile))?.code).toBe('host-key-changed');
    await ed25519Only.stop();
  });

  test('that is revoked is refused', async () => {
    const line = await lineOf('ed25519');
    const failure = await withKnownHosts(`${line}@revoked ${line.replace(/^\S+/, '*')}`);
    expect(failure).toMatchObject({ code: 'host-key-changed' });
    expect(failure?.message).toContain('revoked');
  });

  test.each([
    ['@revoked ed25519', 'ed25519', 'rsa'],
    ['rsa', 'ed25519', '@revoked ed25519'],
    ['@revoked ed25519', 'rsa'],
    ['@revoked ed25519', '@revoked ecdsa', 'ecdsa', 'rsa'],
  ])('that is revoked is not asked for where another kind is known: %s, %s, %s %s', async (...lines) => {
    expect(await withKnownHosts(await linesOf(lines))).toBeNull();
  });

  test.each([
    ['ed25519', '@revoked ed25519'],
    ['ed25519', 'rsa', '@revoked ed25519', '@revoked rsa'],
  ])('that is revoked is refused, though it is listed as well: %s, %s %s %s', async (...lines) => {
    const failure = await withKnownHosts(await linesOf(lines));
    expect(failure?.code).toBe('host-key-changed');
    expect(failure?.message).toContain('revoked in');
  });

  test.each(['a list of public keys', 'a revocation list of ssh-keygen'])(
    'that is in RevokedHostKeys is refused: %s',
    async (form) => {
      const publicKey = `${server.hostKeyFiles.ed25519 ?? ''}.pub`;
      const revoked = join(server.directory, 'revoked keys');
      const known = (await lineOf('ed25519')) + (await lineOf('rsa'));
      if (form.startsWith('a list')) await copyFile(publicKey, revoked);
      else expect((await run('ssh-keygen', ['-kf', revoked, publicKey])).exitStatus).toBe(0);
      const failure = await withKnownHosts(known, `RevokedHostKeys "${revoked}"`);
      expect(failure?.code).toBe('host-key-changed');
      expect(failure?.message).toContain(`revoked in ${revoked}`);
      expect(
        await withKnownHosts(
          await lineOf('rsa'),
          `RevokedHostKeys "${revoked}"`,
          'HostKeyAlgorithms rsa-sha2-512',
        ),
      ).toBeNull();
      await rm(revoked);
      const unreadable = await withKnownHosts(known, `RevokedHostKeys "${revoked}"`);
      expect(unreadable?.message).toContain('ENOENT');
    },
  );

  test('is looked up in every file of UserKnownHostsFile, even with blanks in the paths', async () => {
    const directory = join(server.directory, 'two words');
    await mkdir(directory, { recursive: true });
    const files = ['known hosts', 'other known hosts'].map((name) => join(directory, name));
    await writeFile(files[0] ?? '', '# nothing');
    await writeFile(files[1] ?? '', await lineOf('ed25519'));
    const config = await server.configWith(
      `UserKnownHostsFile ${files.map((file) => `"${file}"`).join(' ')}`,
    );
    expect(await failureAsSshDoes(config)).toBeNull();
  });

  test('of a type that HostKeyAlgorithms excludes is not asked for', async () => {
    const both = (await lineOf('ed25519')) + (await lineOf('rsa'));
    expect(await withKnownHosts(both, 'HostKeyAlgorithms rsa-sha2-256')).toBeNull();
    const failure = await withKnownHosts(await lineOf('ed25519'), 'HostKeyAlgorithms rsa-sha2-256');
    expect(failure?.message).toMatch(/has changed: it shows ssh-rsa/);
  });

  test('of no type that vmferry can check is refused before anything is sent', async () => {
    const failure = await withKnownHosts(
      await lineOf('ed25519'),
      'HostKeyAlgorithms sk-ssh-ed25519@openssh.com',
    );
    expect(failure?.message).toContain(
      'only host keys that vmferry cannot check: sk-ssh-ed25519@openssh.com',
    );
    expect(failure?.advice).toContain('HostKeyAlgorithms');
  });

  test('that only a KnownHostsCommand knows is refused, with a command that adds it to known_hosts', async () => {
    const command = join(server.directory, 'known-hosts-command');
    await writeFile(command, `#!/bin/sh\necho '${(await lineOf('ed25519')).trim()}'\n`, { mode: 0o755 });
    await chmod(command, 0o755);
    const empty = join(server.directory, 'empty_known_hosts');
    const config = await server.configWith(`KnownHostsCommand ${command}`, `UserKnownHostsFile ${empty}`);
    expect(await sshConnects(config)).toBe(true);
    const failure = await connectionFailure(config);
    expect(failure?.code).toBe('host-key-unknown');
    await acceptAsAdvised(failure);
    expect(await connectionFailure(config)).toBeNull();
  });

  test('that changed, on a line with a pattern, is forgotten by the command that is advised', async () => {
    const other = await makeKey(join(server.directory, 'a_third_host_key'));
    const changed = await knownHostsLine({ alias: '', ...server }, other);
    const failure = await withKnownHosts(`# a comment\n${changed.replace(/^\S+/, '*')}`);
    const advised = failure?.advice?.split(': ').pop() ?? '';
    expect((await run('sh', ['-c', advised])).exitStatus).toBe(0);
    expect(await readFile(join(server.directory, 'other_known_hosts'), 'utf8')).toBe('# a comment\n');
  });

  test('is looked up by its alias if one is configured', async () => {
    const line = (await lineOf('rsa')).replace(/^\S+/, 'the-name');
    expect(await withKnownHosts(line, 'HostKeyAlias the-name')).toBeNull();
    expect((await withKnownHosts(line))?.code).toBe('host-key-unknown');
  });

  test('known for the name without its port is accepted', async () => {
    expect(await withKnownHosts((await lineOf('ed25519')).replace(/^\S+/, '127.0.0.1'))).toBeNull();
  });
});
