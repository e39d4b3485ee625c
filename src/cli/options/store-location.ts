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
  return parseLocation(text, 'store');
}

/** The same for a file, whose path takes the place of the directory. */
export function parseLocation(text: string, what: Located): StoreLocation {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof BadLocation)) throw error;
    throw new Failure('usage', `${JSON.stringify(text)} cannot be a ${what}: ${error.message}.`, {
      advice: advice[what],
    });
  }
}

type Located = 'store' | 'file';

const advice: Readonly<Record<Located, string>> = {
  store:
    'Give a directory, HOST:PATH as for scp, or sftp://USER@HOST:PORT/PATH. ' +
    'For a directory with a colon in its name, type ./NAME.',
  file:
    'Give a file, HOST:PATH as for scp, or sftp://USER@HOST:PORT/PATH. ' +
    'For a file with a colon in its name, type ./NAME.',
};

/** Why a text is no location. */
class BadLocation extends Error {}

function parse(text: string): StoreLocation {
  if (text === '') throw new BadLocation('it is empty');
  if (controlCharacter.test(text)) throw new BadLocation('it contains a control character');
  if (isDirectory(text)) return { kind: 'directory', path: withoutSlashesAtEnd(text) };
  if (withPassword.test(text) && !withoutAddress(text))
    throw new Failure('usage', 'A location cannot contain a password.', {
      advice: 'Others could read it. Use an ssh key: ssh-keygen, then ssh-copy-id USER@HOST',
    });
  if (/^sftp:\/\//i.test(text)) return parseUrl(text);
  if (otherUrl.test(text)) throw new BadLocation('only URLs that begin with sftp:// are supported');
  if (/^sftp:/i.test(text)) throw new BadLocation('a URL must begin with sftp://');
  if (bareAddress.test(text)) throw new BadLocation('an IPv6 address must be in brackets: [::1]:/PATH');
  const { destination = '', path = '' } = scpStyle.exec(text)?.groups ?? {};
  if (destination === '') throw new BadLocation('the host is missing or not valid');
  if (path === '') throw new BadLocation('the path after the colon is missing');
  return {
    kind: 'sftp',
    destination: parseHost(destination),
    port: null,
    path: parsePath(path),
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
  if (host === '') throw new BadLocation('the host is missing or not valid');
  const number = Number(port ?? '0');
  if (port !== undefined && (!/^\d{1,5}$/.test(port) || number < 1 || number > 65_535))
    throw new BadLocation('the port is not a number from 1 to 65535');
  if (path === '') throw new BadLocation('the path is missing');
  const destination = user === undefined ? host : `${decoded(user)}@${host}`;
  // these two mark a path that starts in the login directory
  const isRelative = /^\/[.~](?:\/|$)/.test(path);
  return {
    kind: 'sftp',
    destination: parseHost(destination),
    port: port === undefined ? null : number,
    path: parsePath(decoded(isRelative ? path.slice(1) : path)),
  };
}

function parseHost(destination: string): string {
  try {
    const parsed = parseDestination(destination);
    if (parsed.directory === null) return parsed.destination;
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
  }
  throw new BadLocation(`‘${destination}’ is not a host`);
}

/** An absolute path, or a relative one without `../` or `~/`; no slash at the end and no double slashes. */
function parsePath(path: string): string {
  if (controlCharacter.test(path)) throw new BadLocation('the path contains a control character');
  if (/^~[^/]/.test(path)) throw new BadLocation('~USER is not supported: give the path of the directory');
  const plain = withoutSlashesAtEnd(path.replace(/^~(?=\/|$)/, '.').replace(/\/{2,}/g, '/'));
  return plain.replace(/^(?:\.\/)+/, '') || '.';
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BadLocation('a % in a URL must be followed by two hex digits; % itself is written %25');
  }
}

function withoutSlashesAtEnd(path: string): string {
  return path.replace(/\/+$/, '') || '/';
}
