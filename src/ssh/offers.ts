import { Failure } from '../failure.ts';
import type { SshHost } from './config/ssh-config.ts';
import { nameOf } from './open-transport.ts';

/** Algorithms that two machines must agree on before a login, as ssh2 and sshd_config(5) call them. */
const subjects = [
  { noted: 'KEX method', failed: /key exchange/, called: 'key exchange', keyword: 'KexAlgorithms' },
  { noted: 'Host key format', failed: /host key/, called: 'kind of host key', keyword: 'HostKeyAlgorithms' },
  { noted: 'C->S cipher', failed: /cipher/, called: 'cipher', keyword: 'Ciphers' },
  { noted: 'C->S MAC', failed: /MAC/, called: 'message authentication code', keyword: 'MACs' },
] as const;
/** Extensions that are negotiated like key exchange methods. */
const noAlgorithm = /^(?:ext-info-|kex-strict-)/;

/** Collects from ssh2's debug notes which algorithms each side of a handshake offers. ssh2 has no other interface for that. */
export class SshOffers {
  readonly #lists = new Map<string, readonly string[]>();

  /** For ssh2's option `debug`. Other notes are ignored. */
  readonly note = (text: string): void => {
    const [, side, noted, list = ''] = /^Handshake: \((local|remote)\) ([^:]+): (.*)$/.exec(text) ?? [];
    if (side === undefined || noted === undefined) return;
    const names = list.split(',').filter((name) => name !== '' && !noAlgorithm.test(name));
    this.#lists.set(`${side} ${noted}`, names);
  };

  /** The failure if the two sides have no algorithm in common, according to ssh2's message; null for any other trouble. */
  explain(message: string, host: SshHost, cause: unknown): Failure | null {
    if (!/no matching/i.test(message)) return null;
    const subject = subjects.find(({ failed }) => failed.test(message));
    const theirs = this.#lists.get(`remote ${subject?.noted}`);
    const ours = this.#lists.get(`local ${subject?.noted}`);
    if (subject === undefined || theirs === undefined || ours === undefined) return null;
    const { called, keyword } = subject;
    return new Failure(
      'host-unreachable',
      `${nameOf(host)} and vmferry have no ${called} in common. The host offers only ${theirs.join(', ')}; ` +
        `vmferry’s ssh library has only ${ours.join(', ')}. ssh itself has others, so it may connect.`,
      {
        advice:
          keyword === 'HostKeyAlgorithms'
            ? `Give the host a key that vmferry can check: run ssh-keygen -A as root there, and reload sshd. ` +
              `If its sshd_config has HostKey or HostKeyAlgorithms, add the new key there.`
            : `In its sshd_config, add ${ours[0]} to ${keyword}, and reload sshd.`,
        cause,
      },
    );
  }
}
