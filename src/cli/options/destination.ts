import { Failure } from '../../failure.ts';
import { controlCharacter } from '../../unprintable.ts';

export interface Destination {
  /** As typed after `ssh`: HOST or USER@HOST, an IPv6 address without brackets. */
  destination: string;
  /** Absolute path without a slash at its end; null when none was given. */
  directory: string | null;
}

const bracketed = /^(?:(?<user>[^:/]*)@)?\[(?<host>[^[\]]*)\](?::(?<directory>.*))?$/s;
const plain = /^(?:(?<user>[^:]*)@)?(?<host>[^:@]*)(?::(?<directory>.*))?$/s;
const ipv6Address = /^[0-9a-f:.]*:[0-9a-f:.]*(?:%[\w.-]+)?$/i;
/** An alias or host name that ssh accepts, without characters that a shell in a ProxyCommand would interpret. */
const hostName = /^[\p{L}\p{N}_][\p{L}\p{N}_.%-]*$/u;
/** May contain an `@`, but not followed by a hyphen: that would look like an option. */
const userName = /^(?!.*@-)[\p{L}\p{N}_.\\][\p{L}\p{N}_.@+\\-]*$/u;

/**
 * Parses `[USER@]HOST[:DIR]`. An IPv6 address is in brackets, as for scp: `[::1]:/srv`. Throws Failure `usage` for
 * anything else.
 */
export function parseDestination(text: string): Destination {
  const address = bracketed.exec(text);
  const parts = (address ?? plain.exec(text))?.groups;
  if (parts === undefined || looksLikeBareAddress(text)) throw badDestination(text, 'it is not a host');
  const { user, host = '', directory } = parts;
  if (host === '') throw badDestination(text, 'the host is missing');
  if (address !== null && !ipv6Address.test(host))
    throw badDestination(text, 'the text in brackets is not an IPv6 address');
  if (address === null && !hostName.test(host)) throw badDestination(text, 'it is not a host');
  if (user !== undefined && !userName.test(user)) throw badDestination(text, 'the user name is not valid');
  return {
    destination: user === undefined ? host : `${user}@${host}`,
    directory: directory === undefined ? null : parseDirectory(text, directory),
  };
}

/** `fe80::1` would otherwise be taken for the host `fe80` and the directory `:1`. */
function looksLikeBareAddress(text: string): boolean {
  const [host = ''] = text.split('/');
  return !host.includes('[') && /:.*:/.test(host);
}

function parseDirectory(text: string, directory: string): string {
  if (!directory.startsWith('/'))
    throw badDestination(text, 'the directory after the colon must be an absolute path');
  if (directory.startsWith('//')) throw badDestination(text, 'it looks like a URL');
  if (controlCharacter.test(directory))
    throw badDestination(text, 'the directory contains a control character');
  return directory.replace(/\/+$/, '') || '/';
}

function badDestination(text: string, reason: string): Failure {
  return new Failure('usage', `${JSON.stringify(text)} cannot be a destination: ${reason}.`, {
    advice: 'Write it as for scp: HOST, USER@HOST, HOST:/DIRECTORY or [IPV6-ADDRESS]:/DIRECTORY.',
  });
}
