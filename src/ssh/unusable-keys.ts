import { existsSync } from 'node:fs';
import process from 'node:process';
import { run } from '../system/processes.ts';
import type { SshHost } from './config/ssh-config.ts';
import { isDeviceKey, readIdentityFile } from './identity-file.ts';

/** Keys that ssh can log in with but ssh2 cannot; by name, for messages. */
export interface UnusableKeys {
  certificates: readonly string[];
  /** Keys of FIDO devices: their types begin with `sk-`. */
  deviceKeys: readonly string[];
}

const AGENT_LIMIT_MS = 5000;

/** Looks for certificates and for keys of devices, in the files of the configuration and in the agent. Never fails. */
export async function findUnusableKeys(host: SshHost): Promise<UnusableKeys> {
  const { certificateFiles, identityFiles } = host;
  const [files, agentLines] = await Promise.all([
    Promise.all(identityFiles.map(readIdentityFile)),
    host.agentSocket === null ? [] : agentKeys(host.agentSocket),
  ]);
  const inAgent = (kind: RegExp): string[] =>
    agentLines.filter((line) => kind.test(line)).map((line) => `${nameInAgent(line)} of the agent`);
  // ssh also uses a certificate beside a key file.
  const certificates = [...certificateFiles, ...identityFiles.map((path) => `${path}-cert.pub`)];
  return {
    certificates: [...certificates.filter((path) => existsSync(path)), ...inAgent(/^\S+-cert-v01@/)],
    deviceKeys: [
      ...files
        .filter(({ publicKey }) => publicKey !== null && isDeviceKey(publicKey))
        .map(({ path }) => path),
      ...inAgent(/^sk-(?!\S+-cert-)/),
    ],
  };
}

/** The agent's public keys, one a line, including kinds that ssh2 does not understand and leaves out. */
async function agentKeys(socket: string): Promise<string[]> {
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  const answer = await run('ssh-add', ['-L'], { env, timeoutMs: AGENT_LIMIT_MS }).catch(() => null);
  return answer?.exitStatus === 0 ? answer.stdout.split('\n') : [];
}

/** The key's comment; its type if it has no comment. */
function nameInAgent(line: string): string {
  const [type = '', , ...comment] = line.split(' ');
  return comment.join(' ') || type;
}
