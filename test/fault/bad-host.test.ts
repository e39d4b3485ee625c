import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, resultOf } from '../support/programs/command-records.ts';
import {
  makeSparseFile,
  patchFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { makeKey } from '../support/ssh/ssh-client-files.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const MIB = 2 ** 20;

/** Trouble with the new host is found before anything is changed on either host. */
describeUnless(networkLabMissing(), 'a host that cannot take the guest', () => {
  let hosts: TwoHosts;
  let image: string;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    image = join(hosts.old.images, 'disk.img');
    makeSparseFile(image, 16 * MIB);
    patchFile(image, MIB, seededBytes(7, 4 * MIB));
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const migrate = (...args: string[]) => hosts.run(['migrate', image, '--json', ...args]);
  const withConfig = (config: string): string[] => {
    const args = hosts.targetArguments();
    args[args.indexOf('-F') + 1] = config;
    return args;
  };
  const withScript = async (...lines: string[]): Promise<string[]> =>
    hosts.targetArguments({ remoteCommand: await hosts.remoteScript(lines) });

  test('it is not reachable', async () => {
    const config = await hosts.lab.server.configWith('Host new', '  Port 9');
    const error = errorOf(await migrate(...withConfig(config)));
    expect(error).toMatchObject({ code: 'host-unreachable', exitStatus: 12 });
  });

  test('it is not reachable, and sends no ICMP error', async () => {
    const config = await hosts.lab.server.configWith('Host new', '  ConnectTimeout 2');
    await hosts.lab.cut();
    try {
      const startedMs = Date.now();
      const error = errorOf(await migrate(...withConfig(config)));
      expect(error).toMatchObject({ code: 'host-unreachable', exitStatus: 12 });
      expect(Date.now() - startedMs).toBeLessThan(10_000);
    } finally {
      await hosts.lab.mend();
    }
  });

  test('its key is not known: the message has the fingerprint, and the command that accepts it', async () => {
    const knownHosts = join(hosts.old.home, 'known_hosts');
    writeFileSync(knownHosts, '');
    const config = await hosts.lab.server.configWith('Host new', `  UserKnownHostsFile ${knownHosts}`);
    const error = errorOf(await migrate(...withConfig(config)));
    expect(error).toMatchObject({ code: 'host-key-unknown', exitStatus: 12 });
    const [, fingerprint = 'none'] = /(SHA256:\S+)/.exec(
      runTool('ssh-keygen', ['-l', '-f', `${hosts.lab.server.hostKeyFiles.ed25519}.pub`]),
    ) ?? [''];
    const text = `${error.message} ${error.advice}`;
    expect(text).toContain(fingerprint);
    expect(text).toMatch(/ssh(-keyscan)? .*\bnew\b|ssh-keyscan/);
    expect(readFileSync(knownHosts, 'utf8')).toBe('');
  });

  test('its key differs from the known one', async () => {
    using scratch = scratchDirectory();
    const other = await makeKey(join(scratch.path, 'key'));
    const [type, key] = readFileSync(`${other}.pub`, 'utf8').split(' ');
    const knownHosts = join(scratch.path, 'known_hosts');
    appendFileSync(knownHosts, `${hosts.lab.server.address} ${type} ${key}\n`);
    const config = await hosts.lab.server.configWith('Host new', `  UserKnownHostsFile ${knownHosts}`);
    const error = errorOf(await migrate(...withConfig(config)));
    expect(error).toMatchObject({ code: 'host-key-changed', exitStatus: 12 });
    expect(`${error.message} ${error.advice}`).toContain('ssh-keygen');
  });

  test('it refuses the login', async () => {
    using scratch = scratchDirectory();
    const other = await makeKey(join(scratch.path, 'key'));
    const config = await hosts.lab.server.configWith(
      'Host new',
      `  IdentityFile ${other}`,
      '  IdentitiesOnly yes',
    );
    // The configuration names a wrong and a right key; keep only the wrong one.
    writeFileSync(config, readFileSync(config, 'utf8').replace(hosts.lab.server.identityFile, other));
    const error = errorOf(await migrate(...withConfig(config)));
    expect(error).toMatchObject({ code: 'login-refused', exitStatus: 12 });
  });

  test('it has no vmferry', async () => {
    const error = errorOf(await migrate(...hosts.targetArguments({ remoteCommand: 'vmferry-is-not-here' })));
    expect(error).toMatchObject({ code: 'receiver-missing', exitStatus: 13 });
    expect(error.message).toContain('vmferry-is-not-here');
    expect(error.advice).toContain('--remote-command');
  });

  test('its vmferry may not be executed', async () => {
    const script = await hosts.remoteScript(['exit 0']);
    chmodSync(script, 0o644);
    const error = errorOf(await migrate(...hosts.targetArguments({ remoteCommand: script })));
    expect(error).toMatchObject({ code: 'receiver-missing', exitStatus: 13 });
  });

  test('its vmferry speaks another protocol', async () => {
    const args = await withScript(
      `printf '%s\\n' '{"type":"ready","protocol":999,"version":"99.0.0"}'`,
      'cat >/dev/null',
    );
    const error = errorOf(await migrate(...args));
    expect(error).toMatchObject({ code: 'receiver-incompatible', exitStatus: 13 });
    expect(error.message).toMatch(/99\.0\.0.*999/);
  });

  test.each<[what: string, lines: string[], code: string]>([
    ['ends at once', ['echo "it is broken" >&2; exit 3'], 'receiver-died'],
    [
      'prints something that is not a message, and goes on',
      [`echo '{"type":"hello"}'; cat >/dev/null`],
      'protocol-violation',
    ],
    ['prints garbage and ends', [`head -c 100000 /dev/urandom | tr -d '{'; exit 0`], 'receiver-died'],
    ['prints a line without end', [`tr '\\0' x </dev/zero`], 'protocol-violation'],
    [
      'sends an unexpected answer',
      [
        `echo '{"type":"ready","protocol":3,"version":"0"}'; echo '{"type":"published","paths":[]}'; cat >/dev/null`,
      ],
      'protocol-violation',
    ],
  ])('its vmferry %s', async (_, lines, code) => {
    const error = errorOf(await migrate(...(await withScript(...lines))));
    expect(error).toMatchObject({ code, exitStatus: 13 });
  });

  test('its vmferry does not answer: the move gives up', async () => {
    const startedMs = Date.now();
    const error = errorOf(await migrate(...(await withScript('cat >/dev/null'))));
    expect(error).toMatchObject({ code: 'receiver-died', exitStatus: 13 });
    // It may take 2 minutes to start.
    expect(Date.now() - startedMs).toBeLessThan(140_000);
  });

  test('the directory is missing, is a file, or may not be written to', async () => {
    const missing = errorOf(
      await migrate(...hosts.targetArguments({ directory: join(hosts.new.images, 'no') })),
    );
    expect(missing).toMatchObject({ code: 'target-missing', exitStatus: 14 });
    // The message is read on the old host: it names the other machine, and a command to type here.
    expect(missing.message).toMatch(/^There is no directory \S+ on new\.$/);
    expect(missing.advice).toMatch(/^Make it \(ssh -F \S+ new mkdir -p \S+\), or /);
    const file = join(hosts.new.home, 'file');
    writeFileSync(file, '');
    const notDirectory = errorOf(await migrate(...hosts.targetArguments({ directory: file })));
    expect(notDirectory).toMatchObject({ code: 'target-missing', exitStatus: 14 });
    const readOnly = errorOf(await migrate(...hosts.targetArguments({ directory: '/proc' })));
    expect(readOnly).toMatchObject({
      code: expect.stringMatching(/^target-(not-writable|full)$/),
      exitStatus: 14,
    });
  });

  test.each(['disk.img', 'disk.img.partial'])('%s exists already, and is not changed', async (name) => {
    const file = join(hosts.new.images, name);
    writeFileSync(file, 'not ours');
    try {
      const error = errorOf(await migrate(...hosts.targetArguments()));
      expect(error).toMatchObject({ code: 'target-exists', exitStatus: 14 });
      expect(error.message).toContain(file);
      expect(readFileSync(file, 'utf8')).toBe('not ours');
    } finally {
      await rm(file);
    }
  });

  test('there is not enough space', async () => {
    await using small = await hosts.mountOnNew(3 * MIB);
    const error = errorOf(await migrate(...hosts.targetArguments({ directory: small.path })));
    expect(error).toMatchObject({ code: 'target-full', exitStatus: 14 });
    expect(error.message).toMatch(/has [0-9.]+ MiB free, and [0-9.]+ MiB may be needed/);
    expect(await small.files()).toEqual([]);
  });

  test('a login that prints a greeting works', async () => {
    const args = await withScript(
      'echo "Welcome to new!"; echo; echo "  You have mail."',
      `exec '${hosts.remoteCommand}' "$@"`,
    );
    expect(resultOf(await migrate(...args))).toMatchObject({ type: 'moved', booted: null });
    expect(await hosts.filesOnNew()).toEqual(['disk.img']);
  });
});
