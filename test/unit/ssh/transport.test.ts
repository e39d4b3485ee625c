import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import type { SshHost } from '../../../src/ssh/config/ssh-config.ts';
import { quoteForShell } from '../../../src/quote-for-shell.ts';
import { proxyCommandLine } from '../../../src/ssh/proxy.ts';
import { nameOf } from '../../../src/ssh/open-transport.ts';

const host: SshHost = {
  destination: 'me@alias',
  sshConfigFile: '/etc/my config',
  hostName: 'new.example.org',
  port: 2222,
  user: 'me',
  identityFiles: [],
  agentSocket: null,
  identitiesOnly: false,
  certificateFiles: [],
  hostKeyAlgorithms: null,
  revokedHostKeysFile: null,
  withKnownHostsOnly: [],
  userKnownHostsFiles: [],
  globalKnownHostsFiles: [],
  hostKeyAlias: null,
  proxyJump: null,
  proxyCommand: null,
  connectTimeoutMs: null,
};

test('a host without a proxy is reached directly', () => {
  expect(proxyCommandLine(host)).toBeNull();
});

test('the last jump host forwards, and the other hops lead to it', () => {
  expect(proxyCommandLine({ ...host, proxyJump: 'a,root@b:23' })).toBe(
    "ssh -F '/etc/my config' -o BatchMode=yes -o StrictHostKeyChecking=yes -J a " +
      "-W '[new.example.org]:2222' -- ssh://root@b:23",
  );
});

test('the tokens of a proxy command are replaced', () => {
  expect(proxyCommandLine({ ...host, proxyCommand: 'nc %r %h %p 100%%' })).toBe(
    'nc me new.example.org 2222 100%',
  );
});

test('a host is named as it was typed and by its real name', () => {
  expect(nameOf(host)).toBe('me@alias (new.example.org) port 2222');
  expect(nameOf({ ...host, destination: 'me@new.example.org' })).toBe('new.example.org port 2222');
});

test('a quoted word reaches a program unchanged', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: 'binary-ascii' }).filter((word) => !word.includes('\0')),
        { maxLength: 5 },
      ),
      (words) => {
        const line = `printf '%s\\0' "" ${words.map(quoteForShell).join(' ')}`;
        const printed = execFileSync('/bin/sh', ['-c', line]).toString();
        expect(printed.split('\0').slice(1, -1)).toEqual(words);
      },
    ),
    { numRuns: 30 },
  );
});
