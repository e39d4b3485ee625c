import { Failure } from '../../failure.ts';
import type { StoreLocation } from '../../operations/store-access/open-backup-store.ts';
import { parseDestination } from './destination.ts';
import { controlCharacter } from '../../unprintable.ts';

const sftpUrl =
  /^sftp:\/\/(?:(?<user>[^/@:]*)@)?(?<host>\[[^/[\]]*\]|[^/@:[\]]*)(?::(?<port>[^/]*))?(?<path>\/.*)?$/is;
const otherUrl = /^[a-z][a-z0-9+.-]*:\/\//i;
const scpStyle = /^(?<destination>(?:[^/:[\]]*@)?(?:\[[^/[\]]*\]|[^/:[\]]*)):(?<path>.*)$/s;
/** `fe80::1:/srv` would otherwise be taken for the host `fe80` and the path `:1:/srv`. */
const bareAddress = /^(?:[^/@:]*@)?[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*(?:\/|$)/i;
/** A colon before the host: probably a password, which no message may repeat. */
const withPassword = /^(?:[a-z][a-z0-9+.-]*:\/\/)?[^/@]*:[^/]*@/is;

/**
 * Parses the location of a store: a directory, `sftp://[USER@]HOST[:PORT]/PATH`, or `[USER@]HOST:PATH` as for scp. A
 * text is a directory if it has no colon before its first slash, or begins with `/` or `.`: `./a:b`. These paths start in
 * the login directory: `HOST:PATH`, `HOST:~/PATH`, `sftp://HOST/~/PATH`, `sftp://HOST/./PATH`. In a URL, `%20` is a blank.
 * Throws Failure `usage` for anything else, and for passwords.
 */
export function parseStoreLocation(text: string): StoreLocation {
  if (text === '') throw badStore(text, 'it is empty');
  if (controlCharacter.test(text)) throw badStore(text, 'it contains a control character');
  if (isDirectory(text)) return { kind: 'directory', path: withoutSlashesAtEnd(text) };
  if (withPassword.test(text) && !withoutAddress(text))
    throw new Failure('usage', 'A store’s location cannot contain a password.', {
      advice: 'Others could read it. Use an ssh key: ssh-keygen, then ssh-copy-id USER@HOST',
    });
  if (/^sftp:\/\//i.test(text)) return parseUrl(text);
  if (otherUrl.test(text)) throw badStore(text, 'only URLs that begin with sftp:// are supported');
  if (/^sftp:/i.test(text)) throw badStore(text, 'a URL must begin with sftp://');
  if (bareAddress.test(text)) throw badStore(text, 'an IPv6 address must be in brackets: [::1]:/PATH');
  const { destination = '', path = '' } = scpStyle.exec(text)?.groups ?? {};
  if (destination === '') throw badStore(text, 'the host is missing or not valid');
  if (path === '') throw badStore(text, 'the path after the colon is missing');
  return {
    kind: 'sftp',
    destination: parseHost(text, destination),
    port: null,
    path: parsePath(text, path),
  };
}

function isDirectory(text: string): boolean {
  return /^[/.]/.test(text) || !(text.split('/', 1)[0] ?? '').includes(':');
}

/** In `[::1]:path@x` the colons belong to an address. */
function withoutAddress(text: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^/@:]*@)?\[/i.test(text);
}

function parseUrl(text: string): StoreLocation {
  const { user, host = '', port, path = '' } = sftpUrl.exec(text)?.groups ?? {};
  if (host === '') throw badStore(text, 'the host is missing or not valid');
  const number = Number(port ?? '0');
  if (port !== undefined && (!/^\d{1,5}$/.test(port) || number < 1 || number > 65_535))
    throw badStore(text, 'the port is not a number from 1 to 65535');
  if (path === '') throw badStore(text, 'the path is missing');
  const destination = user === undefined ? host : `${decoded(text, user)}@${host}`;
  // these two mark a path that starts in the login directory
  const isRelative = /^\/[.~](?:\/|$)/.test(path);
  return {
    kind: 'sftp',
    destination: parseHost(text, destination),
    port: port === undefined ? null : number,
    path: parsePath(text, decoded(text, isRelative ? path.slice(1) : path)),
  };
}

function parseHost(text: string, destination: string): string {
  try {
    const parsed = parseDestination(destination);
    if (parsed.directory === null) return parsed.destination;
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
  }
  throw badStore(text, `‘${destination}’ is not a host`);
}

/** An absolute path, or a relative one without `../` or `~/`; no slash at the end and no double slashes. */
function parsePath(text: string, path: string): string {
  if (controlCharacter.test(path)) throw badStore(text, 'the path contains a control character');
  if (/^~[^/]/.test(path)) throw badStore(text, '~USER is not supported: give the path of the directory');
  const plain = withoutSlashesAtEnd(path.replace(/^~(?=\/|$)/, '.').replace(/\/{2,}/g, '/'));
  return plain.replace(/^(?:\.\/)+/, '') || '.';
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badStore(text, 'a % in a URL must be followed by two hex digits; % itself is written %25');
  }
}

function withoutSlashesAtEnd(path: string): string {
  return path.replace(/\/+$/, '') || '/';
}

function badStore(text: string, reason: string): Failure {
  return new Failure('usage', `${JSON.stringify(text)} cannot be a store: ${reason}.`, {
    advice:
      'Give a directory, HOST:PATH as for scp, or sftp://USER@HOST:PORT/PATH. ' +
      'For a directory with a colon in its name, type ./NAME.',
  });
}
