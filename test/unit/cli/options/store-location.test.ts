import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseStoreLocation } from '../../../../src/cli/options/store-location.ts';
import { Failure } from '../../../../src/failure.ts';

describe('is a directory', () => {
  test.each([
    ['/srv/backups', '/srv/backups'],
    ['/srv/backups//', '/srv/backups'],
    ['/', '/'],
    ['backups', 'backups'],
    ['./a:b', './a:b'],
    ['../a:b/c', '../a:b/c'],
    ['/srv/a:b', '/srv/a:b'],
    ['a/b:c', 'a/b:c'],
    ['user@host', 'user@host'],
    ['.', '.'],
  ])('%s', (text, path) => {
    expect(parseStoreLocation(text)).toEqual({ kind: 'directory', path });
  });
});

describe('is a path on an SFTP server', () => {
  test.each([
    ['sftp://host/srv/backups', 'host', null, '/srv/backups'],
    ['sftp://user@host:2222/srv//backups/', 'user@host', 2222, '/srv/backups'],
    ['SFTP://host//srv', 'host', null, '/srv'],
    ['sftp://host/', 'host', null, '/'],
    ['sftp://host/./backups', 'host', null, 'backups'],
    ['sftp://host/~/backups/vm', 'host', null, 'backups/vm'],
    ['sftp://host/~', 'host', null, '.'],
    ['sftp://host/./', 'host', null, '.'],
    ['sftp://host/.hidden', 'host', null, '/.hidden'],
    ['sftp://host/~user/x', 'host', null, '/~user/x'],
    ['sftp://[::1]/srv', '::1', null, '/srv'],
    ['sftp://root@[fe80::1%eth0]:22/srv', 'root@fe80::1%eth0', 22, '/srv'],
    ['sftp://first.last%40corp@host/a%20b', 'first.last@corp@host', null, '/a b'],
    ['sftp://host/srv/a@b:c', 'host', null, '/srv/a@b:c'],
    ['host:/srv/backups/', 'host', null, '/srv/backups'],
    ['host:backups', 'host', null, 'backups'],
    ['host:~/backups', 'host', null, 'backups'],
    ['host:./backups', 'host', null, 'backups'],
    ['host:.', 'host', null, '.'],
    ['host:~', 'host', null, '.'],
    ['host:../other', 'host', null, '../other'],
    ['host:/', 'host', null, '/'],
    ['user@host:/srv/a:b@c', 'user@host', null, '/srv/a:b@c'],
    ['host:./a@b', 'host', null, 'a@b'],
    ['root@[::1]:/srv', 'root@::1', null, '/srv'],
    ['[::1]:a@b', '::1', null, 'a@b'],
  ])('%s', (text, destination, port, path) => {
    expect(parseStoreLocation(text)).toEqual({ kind: 'sftp', destination, port, path });
  });
});

describe('refuses', () => {
  test.each([
    ['', 'it is empty'],
    ['/srv\n', 'control character'],
    ['host:', 'the path after the colon is missing'],
    [':/srv', 'the host is missing'],
    ['host:~other/x', '~USER is not supported'],
    ['-oProxyCommand=id:/srv', 'not a host'],
    ['root@-host:/srv', 'not a host'],
    ['host;id:/srv', 'not a host'],
    ['fe80::1:/srv', 'in brackets'],
    ['root@::1', 'in brackets'],
    ['[host]:/srv', 'not a host'],
    ['sftp://host', 'the path is missing'],
    ['sftp:///srv', 'the host is missing'],
    ['sftp://@host/srv', 'not a host'],
    ['sftp://host:0/srv', 'the port is not a number'],
    ['sftp://host:65536/srv', 'the port is not a number'],
    ['sftp://host:/srv', 'the port is not a number'],
    ['sftp://host:ssh/srv', 'the port is not a number'],
    ['sftp://host/a%2', 'two hex digits'],
    ['sftp://host/a%00', 'control character'],
    ['sftp://us%2Fer@host/a', 'not a host'],
    ['sftp:/srv', 'a URL must begin with sftp://'],
    ['https://host/srv', 'only URLs that begin with sftp://'],
    ['s3://bucket/x', 'only URLs that begin with sftp://'],
  ])('%j: %s', (text, reason) => {
    expect(() => parseStoreLocation(text)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(reason) }),
    );
  });

  test.each([
    'sftp://user:secret@host/srv',
    'sftp://user:secret@[::1]:22/srv',
    'https://user:secret@host/srv',
    'user:secret@host:/srv',
    'user:secret@[::1]:/srv',
    'user:sec@ret@host:srv',
  ])('a password, without repeating it: %s', (text) => {
    let thrown: unknown;
    try {
      parseStoreLocation(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Failure);
    expect((thrown as Failure).message).toContain('password');
    expect((thrown as Failure).message + (thrown as Failure).advice).not.toMatch(/secret|sec@ret/);
    expect((thrown as Failure).advice).toContain('ssh-copy-id');
  });
});

const user = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,8}$/);
const host = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,10}$/);
const port = fc.option(fc.integer({ min: 1, max: 65_535 }));
/** Plain parts: neither empty nor `.`, no control characters. */
const part = fc
  .string({ unit: fc.constantFrom(...'ab1 :@%~é[].-'.split('')), minLength: 1, maxLength: 6 })
  .filter((text) => !/^\.{1,2}$/.test(text));
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);

test('parses any URL of a user, a host, a port and a path', () => {
  fc.assert(
    fc.property(fc.option(user), host, port, path, (who, where, portNumber, directory) => {
      const text =
        `sftp://${who === null ? '' : `${who}@`}${where}${portNumber === null ? '' : `:${portNumber}`}` +
        directory.split('/').map(encodeURIComponent).join('/').replace(/^\/~$/, '/%7E');
      const isFromLogin = /^\/~(?:\/|$)/.test(text.replace(/^sftp:\/\/[^/]*/, ''));
      fc.pre(!isFromLogin);
      expect(parseStoreLocation(text)).toEqual({
        kind: 'sftp',
        destination: who === null ? where : `${who}@${where}`,
        port: portNumber,
        path: directory,
      });
    }),
    { numRuns: 1000 },
  );
});

test('parses any absolute path, local or remote', () => {
  fc.assert(
    fc.property(host, path, (where, directory) => {
      expect(parseStoreLocation(directory)).toEqual({ kind: 'directory', path: directory });
      expect(parseStoreLocation(`${where}:${directory}`)).toEqual({
        kind: 'sftp',
        destination: where,
        port: null,
        path: directory,
      });
    }),
    { numRuns: 1000 },
  );
});

test('any text is a usage failure, or a location that no program mistakes for an option', () => {
  const pieces = fc.constantFrom('sftp://', '%2', '%41', ...'ab1.:@[]/-% \n~$'.split(''));
  fc.assert(
    fc.property(fc.string({ unit: pieces, maxLength: 14 }), (text) => {
      try {
        const location = parseStoreLocation(text);
        expect(location.path).not.toBe('');
        if (location.kind === 'directory') return;
        expect(location.destination).not.toMatch(/^-|@-|[\s[\]/]/);
        expect(location.path).toMatch(/^(?:\/|\.$|[^./~]|\.[^/]|~.)/);
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
        expect((error as Failure).code).toBe('usage');
      }
    }),
    { numRuns: 5000, examples: [['1@-@sftp://']] },
  );
});
