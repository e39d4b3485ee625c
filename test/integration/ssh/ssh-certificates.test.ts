import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { run } from '../../../src/system/processes.ts';
import {
  acceptAsAdvised,
  connectionFailure,
  failureAsSshDoes,
  sshConnects,
} from '../../support/ssh/as-ssh-does.ts';
import { makeKey } from '../../support/ssh/ssh-client-files.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

describeWithTools('certificates of ssh', ['ssh', 'sshd', 'ssh-keygen', 'ssh-agent', 'ssh-add'], () => {
  let directory: string;
  let authority: string;
  let server: TestSshServer;
  /** Signs a key, and puts the certificate beside it. */
  const certify = async (key: string, ...options: string[]): Promise<void> => {
    const signed = await run('ssh-keygen', ['-q', '-s', authority, '-I', 'test', ...options, `${key}.pub`]);
    expect(signed).toMatchObject({ exitStatus: 0 });
  };
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-certificates-'));
    authority = await makeKey(join(directory, 'authority'));
    const hostKey = await makeKey(join(directory, 'host_key'));
    await certify(hostKey, '-h');
    server = await startSshServer({
      hostKeyTypes: [],
      sshdConfig: [
        `HostKey ${hostKey}`,
        `HostCertificate ${hostKey}-cert.pub`,
        `TrustedUserCAKeys ${authority}.pub`,
      ],
    });
  });
  afterAll(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test('a host known only by a certificate authority is refused, with a command that helps', async () => {
    const [type, key] = (await readFile(`${authority}.pub`, 'utf8')).split(' ');
    await writeFile(server.knownHostsFile, `@cert-authority * ${type} ${key}\n`);
    expect(await sshConnects(server.sshConfigFile)).toBe(true);
    const failure = await connectionFailure(server.sshConfigFile);
    expect(failure?.code).toBe('host-key-unknown');
    expect(failure?.message).toContain(`${server.knownHostsFile}:1`);
    expect(failure?.message).toContain('cannot check host certificates');
    expect(failure?.advice).toMatch(
      /the host’s certificate verifies its connection\): ssh .* 'ssh-keygen -lf \S+ed25519_key\.pub'/,
    );
    await acceptAsAdvised(failure);
    expect(await failureAsSshDoes(server.sshConfigFile)).toBeNull();
  });

  test('a login that needs a user certificate is refused, and the message says so', async () => {
    await certify(server.identityFile, '-n', userInfo().username);
    await writeFile(server.authorizedKeysFile, '');
    expect(await sshConnects(server.sshConfigFile)).toBe(true);
    const failure = await connectionFailure(server.sshConfigFile);
    expect(failure?.code).toBe('login-refused');
    expect(failure?.message).toContain(
      `vmferry, unlike ssh, cannot use certificates: ${server.identityFile}-cert.pub`,
    );
    expect(failure?.advice).toContain(`ssh-copy-id -f -i ${server.identityFile}.pub`);

    const elsewhere = join(directory, 'my-cert.pub');
    await rename(`${server.identityFile}-cert.pub`, elsewhere);
    const named = await connectionFailure(await server.configWith(`CertificateFile ${elsewhere}`));
    expect(named?.message).toContain(elsewhere);
    const without = await connectionFailure(server.sshConfigFile);
    expect(without?.message).not.toContain('certificate');

    const socket = join(directory, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await once(agent.stdout, 'data');
      await copyFile(elsewhere, `${server.identityFile}-cert.pub`);
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      expect((await run('ssh-add', [server.identityFile], { env })).exitStatus).toBe(0);
      await rm(`${server.identityFile}-cert.pub`);
      const withAgent = await server.configWith(`IdentityAgent ${socket}`, 'IdentitiesOnly no');
      expect(await sshConnects(withAgent)).toBe(true);
      const held = await connectionFailure(withAgent);
      expect(held?.message).toMatch(/unlike ssh, cannot use certificates: .* of the agent/);
    } finally {
      agent.kill();
    }

    await copyFile(`${server.identityFile}.pub`, server.authorizedKeysFile);
    expect(await connectionFailure(await server.configWith(`CertificateFile ${elsewhere}`))).toBeNull();
  });
});
