import { expect, test } from '@jest/globals';
import { checkDestination, expandTokens, parseSshConfig } from '../../../../src/ssh/config/ssh-config.ts';

const surroundings = {
  destination: 'me@alias',
  sshConfigFile: null,
  homeDirectory: '/home/me',
  localUser: 'me',
  environment: { SSH_AUTH_SOCK: '/run/agent', OTHER: '/run/other' },
};
const parse = (...lines: string[]) => parseSshConfig(lines.join('\n'), surroundings);

test('parses the output of ssh -G', () => {
  const host = parse(
    'host alias',
    'user root',
    'hostname new.example.org',
    'port 2222',
    'someoptionoftomorrow yes',
    'identitiesonly yes',
    'identityfile ~/.ssh/id_ed25519',
    'identityfile %d/keys/%r@%h:%p-%n',
    'userknownhostsfile /home/me/.ssh/known_hosts /home/me/.ssh/known_hosts2',
    'globalknownhostsfile /dev/null',
    'hostkeyalias the-new-one',
    'connecttimeout 7',
    'proxyjump a,b',
    '',
  );
  expect(host).toEqual({
    destination: 'me@alias',
    sshConfigFile: null,
    hostName: 'new.example.org',
    port: 2222,
    user: 'root',
    identityFiles: ['/home/me/.ssh/id_ed25519', '/home/me/keys/root@new.example.org:2222-alias'],
    agentSocket: '/run/agent',
    identitiesOnly: true,
    certificateFiles: [],
    userKnownHostsFiles: ['/home/me/.ssh/known_hosts', '/home/me/.ssh/known_hosts2'],
    globalKnownHostsFiles: ['/dev/null'],
    hostKeyAlias: 'the-new-one',
    hostKeyAlgorithms: null,
    revokedHostKeysFile: null,
    withKnownHostsOnly: [],
    proxyJump: 'a,b',
    proxyCommand: null,
    connectTimeoutMs: 7000,
  });
});

test('treats “none” as no value', () => {
  const host = parse(
    'connecttimeout none',
    'proxycommand none',
    'userknownhostsfile none',
    'identityfile none',
  );
  expect(host).toMatchObject({ connectTimeoutMs: null, proxyCommand: null, identityFiles: [] });
  expect(host.userKnownHostsFiles).toEqual([]);
});

test('keeps blanks inside each of several paths', () => {
  const host = parse(
    'userknownhostsfile /home/my home/.ssh/known hosts /home/my home/.ssh/known_hosts2 ~/third one',
    'globalknownhostsfile known hosts',
    'identityfile /home/my home/.ssh/id',
    'certificatefile /home/my home/.ssh/id-cert.pub',
    'revokedhostkeys ~/revoked keys',
  );
  expect(host).toMatchObject({
    userKnownHostsFiles: [
      '/home/my home/.ssh/known hosts',
      '/home/my home/.ssh/known_hosts2',
      '/home/me/third one',
    ],
    globalKnownHostsFiles: ['known hosts'],
    identityFiles: ['/home/my home/.ssh/id'],
    certificateFiles: ['/home/my home/.ssh/id-cert.pub'],
    revokedHostKeysFile: '/home/me/revoked keys',
  });
});

test('turns off sources of host keys other than known_hosts', () => {
  expect(
    parse(
      'knownhostscommand /usr/bin/keys %H',
      'verifyhostkeydns true',
      'nohostauthenticationforlocalhost no',
    ).withKnownHostsOnly,
  ).toEqual(['-o', 'KnownHostsCommand=none', '-o', 'VerifyHostKeyDNS=no']);
  expect(parse('knownhostscommand none', 'verifyhostkeydns false').withKnownHostsOnly).toEqual([]);
});

test.each([
  ['identityagent none', null],
  ['identityagent SSH_AUTH_SOCK', '/run/agent'],
  ['identityagent $OTHER', '/run/other'],
  ['identityagent $MISSING', null],
  ['identityagent ~/agent', '/home/me/agent'],
  ['identityagent ${OTHER}.2', '/run/other.2'],
])('%s', (line, socket) => {
  expect(parse(line).agentSocket).toBe(socket);
});

test('leaves unknown tokens alone', () => {
  expect(expandTokens('%h %% %x %', { h: 'host', '%': '%' })).toBe('host % %x %');
});

test.each(['host', 'user@host', 'ssh://user@host:22', 'fe80::1%eth0', 'user@[::1]'])(
  '%s is a destination',
  (name) => {
    expect(() => checkDestination(name)).not.toThrow();
  },
);

test.each(['', '-v', '-oProxyCommand=x', 'a b', 'a\nb', '`id`', "a'b"])('%j is not a destination', (name) => {
  expect(() => checkDestination(name)).toThrow(expect.objectContaining({ code: 'usage' }));
});
