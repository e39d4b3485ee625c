import { homedir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type AnyAuthMethod, type AuthHandlerMiddleware, type ParsedKey } from 'ssh2';
import { Failure } from '../failure.ts';
import { fingerprintOf } from './config/known-hosts.ts';
import { optionsFor, type SshHost } from './config/ssh-config.ts';
import { shellLine } from '../quote-for-shell.ts';
import { nameOf } from './open-transport.ts';
import { readIdentityFile, type IdentityFile } from './identity-file.ts';
import { findUnusableKeys, type UnusableKeys } from './unusable-keys.ts';

/** One key to log in with, and its name for messages. `method` contains the secret: never print it. */
interface LoginAttempt {
  name: string;
  method: AnyAuthMethod;
}

/** The keys to try: the agent's keys that the configuration names, the agent's other keys, then key files. */
export interface LoginPlan {
  attempts: readonly LoginAttempt[];
  /** Key files that need a passphrase and are not in the agent. */
  lockedFiles: readonly string[];
  /** Key files that others may read. ssh does not use them either. */
  exposedFiles: readonly string[];
  /** The first key file that exists. */
  firstFile: string | null;
  hasAgent: boolean;
}

/** Collects the keys of the agent and the key files. Never fails: unusable keys are left out. */
export async function planLogin(host: SshHost): Promise<LoginPlan> {
  const files = await Promise.all(host.identityFiles.map(readIdentityFile));
  const agent = host.agentSocket === null ? null : new ssh2.OpenSSHAgent(host.agentSocket);
  const agentKeys = agent === null ? [] : await identitiesOf(agent);
  const inAgent = (file: IdentityFile): boolean =>
    file.publicKey !== null && agentKeys.some((key) => key.getPublicSSH().equals(file.publicKey as Buffer));
  const named = agentKeys.filter((key) =>
    files.some((file) => file.publicKey !== null && key.getPublicSSH().equals(file.publicKey)),
  );
  const others = host.identitiesOnly ? [] : agentKeys.filter((key) => !named.includes(key));
  const username = host.user;
  const attempts: LoginAttempt[] = [];
  if (agent !== null)
    for (const key of [...named, ...others])
      attempts.push({
        name: `agent key ${key.comment || key.type} ${fingerprintOf(key.getPublicSSH())}`,
        method: { type: 'agent', username, agent: new AgentWithOneKey(agent, key) },
      });
  for (const file of files)
    if (file.privateKey !== null && !inAgent(file))
      attempts.push({
        name: `key file ${file.path}`,
        method: { type: 'publickey', username, key: file.privateKey },
      });
  const lockedFiles = files.filter((file) => file.locked && !inAgent(file)).map((file) => file.path);
  return {
    attempts,
    lockedFiles,
    exposedFiles: files.filter((file) => file.exposed && !inAgent(file)).map((file) => file.path),
    firstFile: files.find((file) => file.privateKey !== null || file.locked)?.path ?? null,
    hasAgent: agent !== null,
  };
}

function identitiesOf(agent: ssh2.OpenSSHAgent): Promise<ParsedKey[]> {
  return new Promise((resolve) => {
    agent.getIdentities((error, keys) => {
      // Keys of a kind that ssh2 does not know lack this method.
      resolve((error == null ? (keys ?? []) : []).filter((key) => 'getPublicSSH' in key));
    });
  });
}

/** Offers the server one of the agent's keys at a time, so that the order is ours and each attempt is known. */
class AgentWithOneKey extends ssh2.BaseAgent {
  readonly #agent: ssh2.OpenSSHAgent;
  readonly #key: ParsedKey;

  constructor(agent: ssh2.OpenSSHAgent, key: ParsedKey) {
    super();
    this.#agent = agent;
    this.#key = key;
  }

  override getIdentities(done: ssh2.IdentityCallback): void {
    done(null, [this.#key]);
  }

  override sign(
    _publicKey: unknown,
    data: Buffer,
    options: ssh2.SigningRequestOptions | ssh2.SignCallback,
    done?: ssh2.SignCallback,
  ): void {
    if (typeof options === 'function') this.#agent.sign(this.#key, data, options);
    else this.#agent.sign(this.#key, data, options, done);
  }
}

/** Tries the keys of a plan one after the other, and remembers which were tried. */
export class LoginWalk {
  readonly #plan: LoginPlan;
  readonly #tried: string[] = [];
  #next = 0;
  #methodsTaken: readonly string[] = [];
  #askedFirst = false;

  constructor(plan: LoginPlan) {
    this.#plan = plan;
  }

  handler(username: string): AuthHandlerMiddleware {
    return (methodsLeft: readonly string[] | null, _partial, next) => {
      if (methodsLeft !== null) this.#methodsTaken = methodsLeft;
      // `none` does not count as an attempt, and its refusal names the methods that the server accepts.
      if (!this.#askedFirst) {
        this.#askedFirst = true;
        return next({ type: 'none', username });
      }
      const attempt = this.#plan.attempts[this.#next++];
      if (attempt === undefined || (methodsLeft !== null && !methodsLeft.includes('publickey')))
        return next(false as unknown as AnyAuthMethod);
      this.#tried.push(attempt.name);
      return next(attempt.method);
    };
  }

  /** @param reason the server's or the agent's message, if it gave one */
  async refused(host: SshHost, reason: string | null, cause: unknown): Promise<Failure> {
    const unusable = await findUnusableKeys(host);
    const others = this.#methodsTaken.filter((method) => method !== 'publickey');
    const offers = this.#methodsTaken.includes('publickey') || others.length === 0;
    const account = [
      this.#tried.length === 0 ? 'no key to try' : `tried ${this.#tried.join(', ')}`,
      ...this.#plan.exposedFiles.map(
        (file) => `${file} is not used, because others may read or write that file`,
      ),
      ...cannotUse('certificates', unusable.certificates),
      ...cannotUse('keys of FIDO devices', unusable.deviceKeys),
      ...(reason === null ? [] : [reason]),
      ...(offers ? [] : [`it accepts only ${others.join(', ')}`]),
    ];
    return new Failure(
      'login-refused',
      `${nameOf(host)} refused the login of ${host.user}: ${account.join('; ')}.`,
      { advice: this.#advice(host, unusable), cause },
    );
  }

  #advice(host: SshHost, { certificates, deviceKeys }: UnusableKeys): string {
    const { lockedFiles, exposedFiles, firstFile, hasAgent } = this.#plan;
    if (exposedFiles.length > 0)
      return `Make the key readable only for you: ${shellLine(['chmod', '600', ...exposedFiles])}`;
    if (lockedFiles.length > 0)
      return (
        `${lockedFiles.join(', ')} needs a passphrase. Add the key to the agent: ` +
        `${hasAgent ? '' : 'eval "$(ssh-agent)" && '}${shellLine(['ssh-add', ...lockedFiles])}`
      );
    const destination = [...optionsFor(host), host.destination];
    if (certificates.length === 0 && deviceKeys.length === 0)
      return `Authorize your key there: ${shellLine(['ssh-copy-id', ...destination])}`;
    // Without -f, ssh-copy-id logs in by other means and concludes that the key is authorized already.
    const copy = (file: string): string => shellLine(['ssh-copy-id', '-f', '-i', file, ...destination]);
    if (firstFile !== null) return `Authorize the key itself there: ${copy(`${firstFile}.pub`)}`;
    const file = join(homedir(), '.ssh', 'id_vmferry');
    return (
      `Make a key of another kind, authorize it there, and name it with IdentityFile in your ssh configuration: ` +
      `${shellLine(['ssh-keygen', '-t', 'ed25519', '-f', file])} && ${copy(`${file}.pub`)}`
    );
  }
}

function cannotUse(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`vmferry, unlike ssh, cannot use ${what}: ${names.join(', ')}`];
}
