import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  certificateAuthorityOf,
  fingerprintOf,
  judgeHostKey,
  keyTypeOf,
  knownHostsName,
  knownKeyTypes,
  matchesHost,
  parseKnownHosts,
} from '../../../../src/ssh/config/known-hosts.ts';
import { run } from '../../../../src/system/processes.ts';
import { describeWithTools } from '../../../support/programs/tools.ts';

/** A key of any type in its wire format; the bytes after the type do not matter here. */
function keyOf(type: string, seed: string): Buffer {
  const field = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  return Buffer.concat([field(Buffer.from(type)), field(createHash('sha256').update(seed).digest())]);
}
const line = (hosts: string, key: Buffer): string =>
  `${hosts} ${keyTypeOf(key)} ${key.toString('base64')} a comment`;
const hashed = (name: string): string => {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
};
const ed25519 = keyOf('ssh-ed25519', 'one');
const rsa = keyOf('ssh-rsa', 'two');
const stranger = keyOf('ssh-ed25519', 'three');
const host = { hostName: 'new.example.org', port: 22, hostKeyAlias: null };
const parse = (...lines: string[]) => parseKnownHosts(lines.join('\n'), 'FILE');
const verdict = (lines: string[], key: Buffer, of = host as Parameters<typeof judgeHostKey>[1]): string =>
  judgeHostKey(parse(...lines), of, key).verdict;

describe('known_hosts', () => {
  test('has the lines with a key, and their places', () => {
    const entries = parse(
      '# a comment',
      '',
      line('a', ed25519),
      `  \t${line('b', rsa)}`,
      `@cert-authority ${line('*', stranger)}`,
      `@revoked ${line('c', stranger)}`,
      '@unheard-of d ssh-ed25519 AAAA',
      'e ssh-ed25519 AAAA',
      `f ssh-rsa ${ed25519.toString('base64')}`,
      'g 1024 65537 1234567890',
      'h',
      '\u0000\u0001 binary',
    );
    expect(entries.map(({ hosts, lineNumber, marker }) => [hosts, lineNumber, marker])).toEqual([
      ['a', 3, null],
      ['b', 4, null],
      ['*', 5, 'cert-authority'],
      ['c', 6, 'revoked'],
    ]);
  });

  test('accepts any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.uint8Array(), (text, name, key) => {
        const entries = parseKnownHosts(text, 'FILE');
        expect(judgeHostKey(entries, { hostName: name, port: 22, hostKeyAlias: null }, key).verdict).toBe(
          'unknown',
        );
      }),
    );
  });

  test.each([
    ['new.example.org', true],
    ['NEW.example.ORG', true],
    ['other,new.example.org', true],
    ['*', true],
    ['*.example.org', true],
    ['ne?.example.*', true],
    ['n*w*g', true],
    ['*.example.org,!new.example.org', false],
    ['!new.example.org', false],
    ['!old.example.org,*.org', true],
    ['example.org', false],
    ['new.example.or', false],
    ['new-example.org', false],
    ['', false],
    ['[new.example.org]:2222', false],
    ['|1|bad', false],
    ['|2|AAAA|AAAA', false],
  ])('%j stands for new.example.org: %s', (hosts, matches) => {
    expect(matchesHost(hosts, 'new.example.org')).toBe(matches);
  });

  test('a pattern without wildcards matches only itself', () => {
    const name = fc.stringMatching(/^[a-z0-9.-]{1,12}$/);
    fc.assert(
      fc.property(name, name, (one, other) => {
        expect(matchesHost(one, other)).toBe(one === other);
        expect(matchesHost(hashed(one), other)).toBe(one === other);
        expect(matchesHost(`${one}*`, one + other)).toBe(true);
        expect(matchesHost(`*${other}`, one + other)).toBe(true);
      }),
    );
  });

  test('a host is looked up by its name, with the port unless it is 22, or by its alias', () => {
    expect(knownHostsName(host)).toBe('new.example.org');
    expect(knownHostsName({ ...host, port: 2222 })).toBe('[new.example.org]:2222');
    expect(knownHostsName({ ...host, port: 2222, hostKeyAlias: 'it' })).toBe('it');
  });

  test('a known key matches, and any other key of any type is a change', () => {
    expect(verdict([], ed25519)).toBe('unknown');
    expect(verdict([line('other', ed25519)], ed25519)).toBe('unknown');
    expect(verdict([line('new.example.org', ed25519)], ed25519)).toBe('matches');
    expect(verdict([line(hashed('new.example.org'), ed25519)], ed25519)).toBe('matches');
    expect(verdict([line('new.example.org', rsa), line('new.example.org', ed25519)], ed25519)).toBe(
      'matches',
    );
    expect(verdict([line('new.example.org', stranger)], ed25519)).toBe('changed');
    expect(verdict([line('new.example.org', rsa)], ed25519)).toBe('changed');
  });

  test('a change names the known key of the same type', () => {
    const judged = judgeHostKey(parse(line('*', rsa), line('*', stranger)), host, ed25519);
    expect(judged).toMatchObject({ verdict: 'changed', known: { lineNumber: 2, keyType: 'ssh-ed25519' } });
  });

  test('a revoked key never matches, and the revocation of another key has no effect', () => {
    expect(verdict([line('*', ed25519), `@revoked ${line('*', ed25519)}`], ed25519)).toBe('revoked');
    expect(verdict([`@revoked ${line('*', ed25519)}`], ed25519)).toBe('revoked');
    expect(verdict([`@revoked ${line('*', stranger)}`], ed25519)).toBe('unknown');
  });

  test('a key for the name without a port is valid for any port, but proves no change', () => {
    const onPort = { ...host, port: 2222 };
    expect(verdict([line('new.example.org', ed25519)], ed25519, onPort)).toBe('matches');
    expect(verdict([line('new.example.org', stranger)], ed25519, onPort)).toBe('unknown');
    expect(verdict([`@revoked ${line('new.example.org', ed25519)}`], ed25519, onPort)).toBe('revoked');
    expect(verdict([line('[new.example.org]:2222', stranger)], ed25519, onPort)).toBe('changed');
  });

  test('the types of a host’s known keys are found', () => {
    const entries = parse(
      line('*', rsa),
      line('other', ed25519),
      `@revoked ${line('*', ed25519)}`,
      line('new.*', rsa),
    );
    expect(knownKeyTypes(entries, host)).toEqual(['ssh-rsa']);
  });

  test('the type of a revoked key is left out, unless another key of that type is known', () => {
    const revoked = `@revoked ${line('*', ed25519)}`;
    expect(knownKeyTypes(parse(line('*', ed25519), line('*', rsa), revoked), host)).toEqual(['ssh-rsa']);
    expect(knownKeyTypes(parse(line('*', ed25519), line('*', stranger), revoked), host)).toEqual([
      'ssh-ed25519',
    ]);
  });

  test('a certificate authority is not a host key, and is found by the host’s names', () => {
    const authority = `@cert-authority ${line('*.example.org', ed25519)}`;
    expect(verdict([authority], ed25519)).toBe('unknown');
    expect(knownKeyTypes(parse(authority), host)).toEqual([]);
    const found = (of: Parameters<typeof certificateAuthorityOf>[1]) =>
      certificateAuthorityOf(parse(line('*', rsa), authority), of)?.lineNumber ?? null;
    expect(found(host)).toBe(2);
    expect(found({ ...host, port: 2222 })).toBe(2);
    expect(found({ ...host, hostName: 'elsewhere.net' })).toBeNull();
    expect(found({ ...host, hostKeyAlias: 'the-name' })).toBeNull();
  });
});

describeWithTools('known_hosts as ssh-keygen has it', ['ssh-keygen'], () => {
  let directory: string;
  let key: Buffer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-known-hosts-'));
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, 'key')]);
    key = Buffer.from((await readFile(join(directory, 'key.pub'), 'utf8')).split(' ')[1] ?? '', 'base64');
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test('fingerprints are the same', async () => {
    const { stdout } = await run('ssh-keygen', ['-lf', join(directory, 'key.pub')]);
    expect(stdout.split(' ')[1]).toBe(fingerprintOf(key));
  });

  test('hosts are found on the same lines, hashed or not', async () => {
    const name = fc.constantFrom('a', 'b', 'a.example', 'b.example', '[a]:2222', '10.0.0.1', 'fe80::1');
    const pattern = fc.oneof(
      name,
      fc.constantFrom('*', '?', '*.example', '!a', '!*.example', '[*]:2222', 'A.example'),
    );
    const hosts = fc.array(pattern, { minLength: 1, maxLength: 3 }).map((patterns) => patterns.join(','));
    const file = join(directory, 'known_hosts');
    await fc.assert(
      fc.asyncProperty(
        fc.array(hosts, { minLength: 1, maxLength: 4 }),
        name,
        fc.boolean(),
        async (all, sought, hash) => {
          await writeFile(file, all.map((each) => `${line(each, key)}\n`).join(''));
          // ssh-keygen hashes plain names, and leaves wildcards unchanged.
          if (hash) await run('ssh-keygen', ['-H', '-f', file]);
          const found = await run('ssh-keygen', ['-F', sought, '-f', file]);
          const theirs = [...found.stdout.matchAll(/found: line (\d+)/g)].map((match) => Number(match[1]));
          const ours = parseKnownHosts(await readFile(file, 'utf8'), file)
            .filter((entry) => matchesHost(entry.hosts, sought))
            .map((entry) => entry.lineNumber);
          expect(ours).toEqual(theirs);
        },
      ),
      { numRuns: 60 },
    );
  });
});
