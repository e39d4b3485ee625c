import { expect } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { TwoHosts } from '../ssh/two-hosts.ts';
import { bootUmlGuest, buildGuestImage, type GuestImage, type GuestImageOptions } from './uml-guest.ts';
import { umlProcessesOf } from './uml-processes.ts';

const meddler = join(import.meta.dirname, 'meddling-receiver.mjs');

export interface Rule {
  /** The type of a message of doc/wire.md, in either direction. */
  on: string;
  do: 'hold' | 'delay' | 'hang-up' | 'kill' | 'damage-pack';
}

/** `claim` of meddling-receiver.mjs. */
interface Claim {
  on: string;
  do: 'claim';
  image: string;
  offset: number;
}

/** Starts a vmferry there whose messages the rules change. */
export function meddlingReceiver(hosts: TwoHosts, rules: readonly (Rule | Claim)[]): Promise<string> {
  const words = [process.execPath, meddler, JSON.stringify(rules), hosts.remoteCommand];
  return hosts.remoteScript([`exec ${words.map((word) => `'${word}'`).join(' ')} "$@"`]);
}

/** A guest that runs on the old host, and what a test needs to know of it. */
export interface FerriedGuest {
  name: string;
  image: GuestImage;
  /** Of the guest that was started by hand. */
  consoleLog: string;
  /** `migrate NAME` with all it needs, and --json; `rules`: see meddling-receiver.mjs. */
  migrateArguments(options?: {
    rules?: readonly Rule[];
    directory?: string;
    /** Whether the guest is halted before anything is copied. */
    cold?: boolean;
    /** `--retry-for`: a lost line ends the move at once unless given. */
    retryFor?: string;
    /** What starts vmferry there, if it is not the usual one. */
    remoteCommand?: string;
  }): Promise<string[]>;
  runsOn(host: 'old' | 'new'): boolean;
  /** The guest's own process on the old host; null when it does not run there. */
  pid(): number | null;
  /** Listens from now on. The result resolves when the guest's console on the old host prints the text. */
  listen(text: string): () => Promise<void>;
  /** The guest's state in the record on the old host. */
  state(): Promise<string>;
  /**
   * Checks that it runs where it ran, and that nothing of it is on the new host: no receiver, no guest, and no file but an incomplete
   * image that the next attempt goes on with.
   */
  expectUnmoved(): Promise<void>;
  /** Checks that it runs on the new host, and nowhere else. */
  expectMoved(): Promise<void>;
}

export async function ferriedGuest(
  hosts: TwoHosts,
  name: string,
  options: Omit<GuestImageOptions, 'path'> & {
    /** Of the image; the usual one unless given. */
    directory?: string;
    extraArgs?: readonly string[];
  } = {},
): Promise<FerriedGuest> {
  const { directory: imageDirectory = hosts.old.images, extraArgs = [], ...imageOptions } = options;
  const path = join(imageDirectory, `${name}.img`);
  const image = await buildGuestImage({
    path,
    dataBytes: 6 * 2 ** 20,
    onCtrlAltDel: 'quick-poweroff',
    ...imageOptions,
  });
  const booted = await bootUmlGuest({
    image: path,
    name,
    umlDir: hosts.old.umlDir,
    startedBy: hosts.lab.prefix('old'),
    extraArgs,
  });
  hosts.defer(booted.stop);
  const runsOn = (host: 'old' | 'new'): boolean => umlProcessesOf(name, hosts[host].umlDir).length > 0;
  const state = async (): Promise<string> => {
    const text = await readFile(join(hosts.old.stateDir, 'guests', `${name}.json`), 'utf8');
    return (JSON.parse(text) as { state: string }).state;
  };
  // The first is the log of the guest that was started by hand, the second the log of the guest that vmferry started.
  const consoleLogs = [booted.consoleLog, join(hosts.old.stateDir, 'console', `${name}.log`)];
  const listen = (text: string): (() => Promise<void>) => {
    const heard = () => consoleLogs.map((log) => (existsSync(log) ? readFileSync(log, 'latin1') : ''));
    const before = heard().map(({ length }) => length);
    return () =>
      eventually(`${name} says ${text}`, 90_000, () =>
        heard().some((log, index) => log.slice(before[index]).includes(text)),
      );
  };
  return {
    name,
    image,
    consoleLog: booted.consoleLog,
    runsOn,
    listen,
    pid: () => (runsOn('old') ? Number(readFileSync(join(hosts.old.umlDir, name, 'pid'), 'utf8')) : null),
    state,
    migrateArguments: async ({
      rules = [],
      directory = hosts.new.images,
      cold = false,
      retryFor = '0',
      remoteCommand: receiver = hosts.remoteCommand,
    } = {}) => {
      const remoteCommand = rules.length === 0 ? receiver : await meddlingReceiver(hosts, rules);
      const target = hosts.targetArguments({ directory, remoteCommand });
      return ['migrate', name, ...target, '--retry-for', retryFor, ...(cold ? ['--cold'] : []), '--json'];
    },
    expectUnmoved: async () => {
      expect(runsOn('new')).toBe(false);
      expect(await hosts.guests()).toMatchObject([{ name, state: 'running' }]);
      expect(await state()).toBe('running');
      expect(await receiversOf(hosts)).toEqual([]);
      expect(await filesBesidePartial(hosts, name)).toEqual([]);
    },
    expectMoved: async () => {
      expect(runsOn('old')).toBe(false);
      expect(runsOn('new')).toBe(true);
      expect(await hosts.guests()).toMatchObject([{ name, state: 'moved' }]);
      expect(await hosts.filesOnNew()).toEqual([`${name}.img`]);
    },
  };
}

/** The files on the new host, without the incomplete image of a guest that the next attempt goes on with. */
export async function filesBesidePartial(hosts: TwoHosts, name: string): Promise<string[]> {
  const partial = `${name}.img.partial`;
  return (await hosts.filesOnNew()).filter((file) => file !== partial && file !== `${partial}.vmferry`);
}

/** The receivers that run on the new host, by pid; also those that sshd has left behind. */
export async function receiversOf(hosts: TwoHosts): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const [argv, environment] = await Promise.all([wordsOf(pid, 'cmdline'), wordsOf(pid, 'environ')]);
    const isReceiver = argv[1]?.endsWith('vmferry.js') === true && argv[2] === 'receive';
    if (isReceiver && environment.includes(`VMFERRY_STATE_DIR=${hosts.new.stateDir}`))
      found.push(Number(pid));
  }
  return found;
}

async function wordsOf(pid: string, file: 'cmdline' | 'environ'): Promise<string[]> {
  return (await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')).split('\0');
}

/** Resolves when a rule has applied to that type of message. */
export async function meddled(hosts: TwoHosts, type: string): Promise<void> {
  const mark = join(hosts.new.stateDir, `meddled-${type}`);
  await eventually(`${type} was sent`, 60_000, () => existsSync(mark));
  await rm(mark);
}

/** Asks every 100 ms until the answer is true; throws after the time limit. */
export async function eventually(
  what: string,
  limitMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadlineMs = Date.now() + limitMs;
  while (!(await isSo())) {
    if (Date.now() > deadlineMs) throw new Error(`not within ${limitMs / 1000} s: ${what}`);
    await delay(100);
  }
}

/** Printed as soon as bytes of an image have arrived on the new host. */
export const copyHasBegun = /"stage":"copy","doneBytes":\d+,"totalBytes":\d+,"sentBytes":[1-9]/;

export function stageStarted(stage: string): RegExp {
  return new RegExp(`"type":"stage-started","stage":"${stage}"`);
}
