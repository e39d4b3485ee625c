import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../peers/programs.mjs';
import { readTimes, timed } from '../gnu-time.mjs';

const SESSIONS_END_WITHIN_MS = 30_000;

/** The server's name for clients. */
export const serverName = 'new-hardware';

/** Writes keys and configurations of server and client into an empty directory; returns the client's. */
export function writeSshFiles(directory, { server, client }) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  mkdirSync('/run/sshd', { recursive: true });
  const file = (name) => join(directory, name);
  // No start-up files of a shell: they can take 0.1 s for each command and each SFTP session.
  mkdirSync(file('home'));
  for (const key of ['host_key', 'user_key'])
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(key)]);
  copyFileSync(file('user_key.pub'), file('authorized_keys'));
  const hostKey = readFileSync(file('host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
  writeFileSync(file('known_hosts'), `[${client.address}]:${client.port} ${hostKey}\n`);
  writeLines(file('sshd_config'), [
    `ListenAddress ${server.address}`,
    `Port ${server.port}`,
    `HostKey ${file('host_key')}`,
    'PidFile none',
    `AuthorizedKeysFile ${file('authorized_keys')}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'StrictModes no',
    // as in Debian: a program, not a part of sshd
    'Subsystem sftp /usr/lib/openssh/sftp-server',
    `SetEnv PATH="${process.env.PATH}" HOME=${file('home')} VMFERRY_STATE_DIR=${file('state')}`,
  ]);
  writeLines(file('ssh_config'), [
    `Host ${serverName}`,
    `  HostName ${client.address}`,
    `  Port ${client.port}`,
    `  User ${userInfo().username}`,
    `  IdentityFile ${file('user_key')}`,
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    `  UserKnownHostsFile ${file('known_hosts')}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  LogLevel ERROR',
  ]);
  return { clientConfig: file('ssh_config') };
}

/**
 * Starts the server of `writeSshFiles` under GNU time, at its end of the line. `stop` waits until everything that it started
 * has ended, and returns the cost of all of it. The server is the first process of a namespace, so a process that outlives
 * its session becomes the server's child, and is counted.
 */
export async function startSshd(directory, { startedBy }) {
  const timesFile = join(directory, 'sshd.times');
  const sshd = ['/usr/sbin/sshd', '-D', '-e', '-f', join(directory, 'sshd_config')];
  const asFirst = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const [program, ...args] = timed(timesFile, [...startedBy, ...asFirst, ...sshd]);
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise((resolve) => child.once('close', resolve));
  await listening(child);
  // time, unshare (which what starts it over there becomes), sshd
  const [pid] = childrenOf(childrenOf(child.pid)[0]);
  return {
    async stop() {
      await sessionsEnded(pid);
      process.kill(pid, 'SIGTERM');
      await exited;
      return readTimes(timesFile);
    },
  };
}

function listening(child) {
  return new Promise((resolve, reject) => {
    let log = '';
    createInterface(child.stderr).on('line', (line) => {
      log += `${line}\n`;
      if (line.startsWith('Server listening on')) resolve();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`sshd did not start:\n${log}`)));
  });
}

/** Waits for the sessions: processes that outlive sshd would not be counted. */
async function sessionsEnded(pid) {
  const deadline = Date.now() + SESSIONS_END_WITHIN_MS;
  while (childrenOf(pid).length > 0) {
    if (Date.now() > deadline)
      throw new Error('Programs that the move started over ssh did not end with it.');
    await delay(5);
  }
}

function childrenOf(pid) {
  return (readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? []).map(Number);
}

function writeLines(file, lines) {
  writeFileSync(file, `${lines.join('\n')}\n`);
}
