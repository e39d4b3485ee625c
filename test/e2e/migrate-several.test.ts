import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import type {
  MovedGuestsReport,
  PlannedGuestsReport,
} from '../../src/operations/migrate/several/moves-report.ts';
import { seededBytes } from '../support/images/images.ts';
import { problemsOf, recordsOf, resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const MIB = 2 ** 20;
const meddler = join(import.meta.dirname, '../support/guests/meddling-receiver.mjs');

/** Images that no guest uses: what is decided before and between the moves is the same for guests. */
describeUnless(networkLabMissing() ?? toolsMissing('nsenter'), 'several images in one command', () => {
  let hosts: TwoHosts;
  let images: { one: string; two: string; three: string };
  beforeAll(async () => {
    hosts = await startTwoHosts();
    const make = (name: string, seed: number): string => {
      const path = join(hosts.old.images, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, seededBytes(seed, 2 * MIB));
      return path;
    };
    images = { one: make('one.img', 1), two: make('two.img', 2), three: make('three.img', 3) };
    make('elsewhere/one.img', 4);
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const told = (problems: readonly { code: string; message: string }[]) =>
    problems.map(({ code, message }) => `${code}: ${message}`);

  test('none moves if one cannot, and the problems of all are told', async () => {
    const directory = join(hosts.new.images, 'taken');
    mkdirSync(directory);
    writeFileSync(join(directory, 'two.img'), '');
    const { one, two } = images;
    const again = join(hosts.old.images, 'elsewhere', 'one.img');
    const to = hosts.targetArguments({ directory });
    const ended = await hosts.run(['migrate', one, two, 'nobody', again, ...to, '--json']);
    expect(told(problemsOf(ended))).toEqual([
      expect.stringMatching(/^target-exists: .*two\.img: .*taken\/two\.img exists already/),
      expect.stringMatching(/^guest-not-found: nobody: There is no guest named nobody/),
      expect.stringMatching(/^target-exists: .*A disk of .*one\.img would be written to .*one\.img as well/),
    ]);
    expect(recordsOf(ended).filter(({ stage }) => stage === 'copy')).toEqual([]);
    expect((await hosts.runInNew('ls', '-A', directory)).trim()).toBe('two.img');
  });

  test('two that have room alone, and not together, are refused', async () => {
    // For each its 2 MiB, and as much for packs that wait.
    await using small = await hosts.mountOnNew(5 * MIB);
    const to = [...hosts.targetArguments({ directory: small.path }), '--json'];
    const { one, two } = images;
    for (const image of [one, two])
      expect(resultOf(await hosts.run(['migrate', image, ...to, '--dry-run']))).toMatchObject({
        type: 'plan',
      });
    expect(told(problemsOf(await hosts.run(['migrate', one, two, ...to])))).toEqual([
      expect.stringMatching(
        /^target-full: .*two\.img: .* 6\.00 MiB may be needed: 2\.00 MiB of them by the guests/,
      ),
    ]);
    expect(await small.files()).toEqual([]);
  });

  test('what the second one shares with the first is not sent, unless the receiver is an older one', async () => {
    const alike = ['alike-1.img', 'alike-2.img'].map((name) => join(hosts.old.images, name));
    const [first = '', second = ''] = alike;
    const bytes = seededBytes(5, 4 * MIB);
    writeFileSync(first, bytes);
    writeFileSync(second, Buffer.concat([bytes.subarray(0, 3 * MIB), seededBytes(6, MIB)]));
    const older = await hosts.remoteScript([`'${hosts.remoteCommand}' "$@" | sed -u 's/,"takes":true//'`]);
    for (const [name, remoteCommand, takenBytes] of [
      ['shared', hosts.remoteCommand, 3 * MIB],
      ['not-shared', older, 0],
    ] as const) {
      const directory = join(hosts.new.images, name);
      mkdirSync(directory);
      const to = hosts.targetArguments({ directory, remoteCommand });
      const plan = resultOf<PlannedGuestsReport>(
        await hosts.run(['migrate', ...alike, ...to, '--dry-run', '--json']),
      );
      const planned = plan.guests.map(({ estimatedSendBytes }) =>
        Math.round((estimatedSendBytes ?? 0) / MIB),
      );
      expect(planned).toEqual([4, 4 - takenBytes / MIB]);
      const { guests } = resultOf<MovedGuestsReport>(await hosts.run(['migrate', ...alike, ...to, '--json']));
      const [one, two] = guests.flatMap(({ disks }) => disks);
      expect([one?.takenBytes, two?.takenBytes]).toEqual([0, takenBytes]);
      // Noise does not compress.
      expect(Math.round((two?.sentBytes ?? 0) / MIB)).toBe(4 - takenBytes / MIB);
      for (const path of alike)
        expect(readFileSync(join(directory, basename(path))).equals(readFileSync(path))).toBe(true);
    }
  });

  const namesIn = async (directory: string): Promise<string[]> =>
    (await hosts.runInNew('ls', '-A', directory)).trim().split('\n').toSorted();

  /** What starts vmferry there: an honest receiver, but for the one of that number, which dies before its copy is read back. */
  const dyingReceiver = (number: number): Promise<string> => {
    const count = join(hosts.new.stateDir, `receivers-${number}`);
    const rules = JSON.stringify([{ on: 'finish', do: 'kill' }]);
    return hosts.remoteScript([
      `echo >>'${count}'`,
      `if [ "$(wc -l <'${count}')" = ${number} ]; then`,
      `  exec '${process.execPath}' '${meddler}' '${rules}' '${hosts.remoteCommand}' "$@"`,
      'fi',
      `exec '${hosts.remoteCommand}' "$@"`,
    ]);
  };

  test('one that fails later stops the rest, unless told otherwise; what was moved before stays', async () => {
    const { one, two, three } = images;
    const directory = join(hosts.new.images, 'kept');
    mkdirSync(directory);
    // Three preflights and the first move are honest.
    const once = ['--retry-for', '0', '--json'];
    const to = hosts.targetArguments({ directory, remoteCommand: await dyingReceiver(5) });
    const records = recordsOf(await hosts.run(['migrate', one, two, three, ...to, ...once]));
    expect(records.slice(-2)).toMatchObject([
      {
        type: 'guests-moved',
        guests: [{ guest: 'one.img' }],
        failed: [{ guest: two, code: 'receiver-died' }],
        notBegun: [three],
      },
      { type: 'error', code: 'receiver-died', message: `Not moved: ${two}. Not begun: ${three}.` },
    ]);
    const copies = records.filter(({ type, stage }) => type === 'stage-started' && stage === 'copy');
    expect(copies.map(({ guest }) => guest)).toEqual([one, two]);
    // The next attempt goes on with what is incomplete.
    const incomplete = ['two.img.partial', 'two.img.partial.vmferry'];
    expect(await namesIn(directory)).toEqual(['one.img', ...incomplete]);

    // Two preflights are honest, and the first move is not.
    const going = hosts.targetArguments({ directory, remoteCommand: await dyingReceiver(3) });
    const kept = recordsOf(await hosts.run(['migrate', two, three, ...going, '--keep-going', ...once]));
    expect(kept.at(-2)).toMatchObject({
      guests: [{ guest: 'three.img' }],
      failed: [{ guest: two, code: 'receiver-died' }],
      notBegun: [],
    });
    expect(await namesIn(directory)).toEqual(['one.img', 'three.img', ...incomplete]);
    for (const [name, path] of [
      ['one.img', one],
      ['three.img', three],
    ] as const)
      expect(readFileSync(join(directory, name)).equals(readFileSync(path))).toBe(true);
  });
});
