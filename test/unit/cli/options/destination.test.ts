import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseDestination } from '../../../../src/cli/options/destination.ts';
import { Failure } from '../../../../src/failure.ts';

describe('parses', () => {
  test.each([
    ['newhost', 'newhost', null],
    ['new_host.example.org', 'new_host.example.org', null],
    ['root@newhost', 'root@newhost', null],
    ['first.last@corp.example@newhost', 'first.last@corp.example@newhost', null],
    ['192.0.2.7:/srv/guests', '192.0.2.7', '/srv/guests'],
    ['root@newhost:/', 'root@newhost', '/'],
    ['newhost:/srv/guests/', 'newhost', '/srv/guests'],
    ['newhost:/srv/a b:c@d', 'newhost', '/srv/a b:c@d'],
    ['newhost:/srv/[1]', 'newhost', '/srv/[1]'],
    ['[::1]', '::1', null],
    ['[::1]:/srv', '::1', '/srv'],
    ['root@[fe80::1%eth0]:/srv', 'root@fe80::1%eth0', '/srv'],
    ['[::ffff:192.0.2.7]:/srv', '::ffff:192.0.2.7', '/srv'],
    ['büro', 'büro', null],
  ])('%s', (text, destination, directory) => {
    expect(parseDestination(text)).toEqual({ destination, directory });
  });
});

describe('refuses', () => {
  test.each([
    ['', 'the host is missing'],
    [':/srv', 'the host is missing'],
    ['root@', 'the host is missing'],
    ['[]:/srv', 'the host is missing'],
    ['[newhost]', 'not an IPv6 address'],
    ['newhost:', 'absolute path'],
    ['newhost:srv', 'absolute path'],
    ['newhost:~/srv', 'absolute path'],
    ['fe80::1', 'not a host'],
    ['fe80::1:/srv', 'not a host'],
    ['-oProxyCommand=id', 'not a host'],
    ['root@-host', 'not a host'],
    ['-root@host', 'user name is not valid'],
    ['ro ot@host', 'user name is not valid'],
    ['@host', 'user name is not valid'],
    ['host name', 'not a host'],
    ['host;id', 'not a host'],
    ['$(id)', 'not a host'],
    ['host/srv', 'not a host'],
    ['host\n', 'not a host'],
    ['host:/srv\n/x', 'control character'],
    ['ssh://host/srv', 'like a URL'],
  ])('%j: %s', (text, reason) => {
    expect(() => parseDestination(text)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(reason) }),
    );
  });
});

test('any text is a usage failure, or a destination that no program mistakes for an option', () => {
  const characters = fc.constantFrom(...'ab1.:@[]/-% \n~$'.split(''));
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 12 }), (text) => {
      try {
        const { destination, directory } = parseDestination(text);
        expect(destination).not.toMatch(/^-|@-|[\s[\]/]/);
        if (directory !== null) expect(directory).toMatch(/^\//);
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
        expect((error as Failure).code).toBe('usage');
      }
    }),
    { numRuns: 2000 },
  );
});
