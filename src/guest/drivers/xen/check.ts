import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../../events.ts';
import { asFailure, Failure } from '../../../failure.ts';
import { command, here, placed, vmferry } from '../../../placed-text.ts';
import type { GuestDefinition } from '../../definition.ts';
import { checkNamed } from './check-named.ts';
import { checkUnique } from './check-unique.ts';
import { inexpressible, virtualizationOf } from './config/write.ts';
import { xenConfigOf } from './config/rewrite.ts';
import { listDomains } from './host/domains.ts';
import { findProgram, findPygrub, isControlDomain, type XenHost } from './host/host.ts';
import { proberOf } from './host/probe-name.ts';
import { complaintOf, xl, xlMissing } from './host/xl.ts';

/** Everything that keeps this machine from booting the guest. Starts nothing. See `GuestDriver.checkBootable`. */
export async function checkXenBootable(
  definition: GuestDefinition,
  host: XenHost,
  context: Context,
  isVouchedFor: boolean,
): Promise<Failure[]> {
  const problems = [
    ...checkName(definition),
    ...checkText(definition, host, isVouchedFor),
    ...checkPaths(definition, host),
  ];
  if (findProgram(host, 'xl') === null) return [xlMissing(host), ...problems];
  if (!isControlDomain()) return [noXen(), ...problems];
  if (process.geteuid?.() !== 0)
    return [new Failure('not-permitted', placed`Only root can start guests of Xen ${here}.`), ...problems];
  try {
    const info = await readInfo(host, context.signal);
    const domains = await listDomains(host, context);
    const running = domains.find(({ config }) => config.c_info.name === definition.name);
    if (running !== undefined) return [runsAlready(definition.name), ...problems];
    return [
      ...checkUnique(definition, domains, host),
      ...problems,
      ...checkAbilities(definition, info),
      ...checkMemory(definition, info, host),
    ];
  } catch (error) {
    context.signal.throwIfAborted();
    return [asFailure(error), ...problems];
  }
}

function checkName({ name }: GuestDefinition): Failure[] {
  if (proberOf(name) === null) return [];
  return [
    new Failure(
      'guest-unsupported',
      `A guest of Xen cannot be called ${name}: vmferry gives such names to the small domains with which it tries Xen, and removes them.`,
      { advice: 'Give the guest another name, and try again.' },
    ),
  ];
}

function noXen(): Failure {
  return new Failure(
    'hypervisor-missing',
    placed`This machine was not started with Xen: xl cannot work ${here}.`,
    {
      advice:
        'Choose the entry of Xen in the boot menu (on Debian: install xen-system-amd64, and start the machine again).',
    },
  );
}

function runsAlready(name: string): Failure {
  return new Failure('guest-already-running', placed`A guest named ${name} runs ${here} already.`, {
    advice: placed`Halt that one, with \`${vmferry('halt', name)}\`, or start it under another name.`,
  });
}

function checkText(definition: GuestDefinition, host: XenHost, isVouchedFor: boolean): Failure[] {
  const lacks = inexpressible(definition).map((message) => new Failure('guest-unsupported', message));
  if (lacks.length > 0) return lacks;
  try {
    const text = xenConfigOf(definition);
    return [...(isVouchedFor ? [] : checkPrograms(text)), ...checkNamed(definition, text, host)];
  } catch (error) {
    return [asFailure(error)];
  }
}

/** Settings by which a configuration has programs run in the control domain, as root. */
const programKeys =
  /(?:^|[;\n'",])[ \t]*(bootloader|script|device_model\w*|stubdomain\w*|colo-\w+|block-\w+)[ \t]*=[ \t]*([^\n;,]*)/g;

function checkPrograms(text: string): Failure[] {
  return [...text.matchAll(programKeys)]
    .filter(([, key, value = '']) => !(key === 'bootloader' && /^["']pygrub["']/.test(value)))
    .map(
      ([, key]) =>
        new Failure(
          'hypervisor-missing',
          `The guest's configuration comes from an archive, or from a store that is not encrypted, so anybody may have written it. It names a program (${key}), which is not started.`,
          { advice: 'Restore or import the disks, and start the guest by hand.' },
        ),
    );
}

function checkPaths(definition: GuestDefinition, host: XenHost): Failure[] {
  const { kernel, initrd, boot = 'kernel', networkCards = [], drives = [] } = definition;
  const problems: Failure[] = [];
  const missing = (what: string, path: string): void => {
    problems.push(
      new Failure('hypervisor-missing', placed`The guest's ${what} ${path} is not ${here}.`, {
        advice: 'Copy it from the machine that the guest ran on, to the same path; or name another one.',
      }),
    );
  };
  if (boot === 'kernel' && kernel === null)
    problems.push(
      new Failure(
        'hypervisor-missing',
        placed`There is no kernel for the guest ${here}: none in ${host.kernelDirectory} has the drivers of a guest of Xen.`,
        {
          advice: placed`On Debian: \`${command('apt-get', 'install', 'linux-image-amd64')}\`.`,
        },
      ),
    );
  if (boot === 'kernel' && kernel !== null && !existsSync(kernel)) missing('kernel', kernel);
  if (boot === 'kernel' && initrd !== null && !existsSync(initrd)) missing('initial RAM disk', initrd);
  for (const { path } of drives) if (path !== null && !existsSync(path)) missing('medium', path);
  if (boot === 'boot-loader' && findPygrub(host) === null)
    problems.push(
      new Failure('hypervisor-missing', placed`The boot loader pygrub is not installed ${here}.`, {
        advice: 'On Debian it is in xen-utils-*. Or give the guest a kernel of this machine.',
      }),
    );
  for (const { attachedTo } of networkCards)
    if (attachedTo.kind === 'bridge' && !existsSync(join('/sys/class/net', attachedTo.name)))
      problems.push(
        new Failure('hypervisor-missing', placed`The network bridge ${attachedTo.name} is not ${here}.`, {
          advice: placed`Make it (see bridge(8) and interfaces(5)), or attach the guest's card to another bridge: \`${command('ip', '-br', 'link', 'show', 'type', 'bridge')}\` lists them.`,
        }),
      );
  return problems;
}

/** What `xl info` says, by its keys. */
export type Info = ReadonlyMap<string, string>;

export async function readInfo(host: XenHost, signal: AbortSignal): Promise<Info> {
  const result = await xl(host, ['info'], signal);
  if (result.exitStatus !== 0)
    throw new Failure('hypervisor-missing', placed`Xen does not answer ${here}: ${complaintOf(result)}.`);
  return parseInfo(result.stdout);
}

/** Parses `xl info`: `key : value` lines. */
export function parseInfo(text: string): Info {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, key, value] = /^(\w+)\s*:\s?(.*)$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as const];
    }),
  );
}

function checkAbilities(definition: GuestDefinition, info: Info): Failure[] {
  const type = virtualizationOf(definition);
  const abilities = (info.get('virt_caps') ?? '').split(' ');
  // PVH needs the processor's virtualization, as HVM does.
  const needed = type === 'pv' ? 'pv' : 'hvm';
  if (!info.has('virt_caps') || abilities.includes(needed)) return [];
  return [
    new Failure('hypervisor-missing', placed`Xen cannot run guests of the type ${type} ${here}.`, {
      advice: 'The processor’s virtualization may be switched off in the firmware’s settings.',
    }),
  ];
}

const MEBIBYTE = 2 ** 20;

/** Only where Xen does not take memory from the control domain by itself. */
function checkMemory({ memoryBytes }: GuestDefinition, info: Info, host: XenHost): Failure[] {
  const freeMebibytes = Number(info.get('free_memory') ?? Number.NaN);
  const wanted = Math.ceil((memoryBytes ?? 0) / MEBIBYTE);
  if (Number.isNaN(freeMebibytes) || wanted <= freeMebibytes || mayBalloon(info, host)) return [];
  return [
    new Failure(
      'resources-short',
      placed`The guest needs ${wanted} MiB of memory, and ${freeMebibytes} MiB are free ${here}.`,
      {
        advice: 'Halt another guest, or give this one less memory.',
      },
    ),
  ];
}

/** xl.conf(5), autoballoon: "auto" means unless Xen was started with dom0_mem=. */
function mayBalloon(info: Info, host: XenHost): boolean {
  const path = join(host.configDirectory, 'xl.conf');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const setting = /^[ \t]*autoballoon[ \t]*=[ \t]*["']?(\w+)/m.exec(text)?.[1] ?? 'auto';
  if (setting === 'off' || setting === '0') return false;
  return setting !== 'auto' || !(info.get('xen_commandline') ?? '').includes('dom0_mem=');
}
