import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Context } from '../../../../events.ts';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { findProgram, isControlDomain, type XenHost } from './host.ts';
import { proberOf } from './probe-name.ts';
import { complaintOf, xl } from './xl.ts';

const disk = z.object({
  pdev_path: z.string().nullish(),
  vdev: z.string(),
  format: z.string().optional(),
  readwrite: z.number().optional(),
  is_cdrom: z.number().optional(),
  backend: z.string().optional(),
});
const card = z.object({
  mac: z.string().optional(),
  bridge: z.string().optional(),
  script: z.string().optional(),
  model: z.string().optional(),
  nictype: z.string().optional(),
});
/** What vmferry needs of a domain in `xl list -l`: the fields of libxl_domain_config in libxl_types.idl. */
const domainConfig = z.object({
  c_info: z.object({ type: z.string().optional(), name: z.string(), uuid: z.string().optional() }),
  b_info: z
    .object({
      avail_vcpus: z.array(z.number()).optional(),
      max_vcpus: z.number().optional(),
      target_memkb: z.number().optional(),
      max_memkb: z.number().optional(),
      kernel: z.string().optional(),
      ramdisk: z.string().optional(),
      cmdline: z.string().optional(),
      bootloader: z.string().optional(),
      localtime: z.string().optional(),
      'type.hvm': z.object({ bios: z.string().optional() }).optional(),
    })
    .optional(),
  disks: z.array(disk).optional(),
  nics: z.array(card).optional(),
});
const domains = z.array(z.object({ domid: z.number().int().nonnegative(), config: z.unknown() }));

export type DomainConfig = z.infer<typeof domainConfig>;

/** A domain that is there now, Domain-0 excepted. */
export interface Domain {
  domid: number;
  config: DomainConfig;
  cpuSeconds: number;
  /** As `xl list` shows it: some of r, b, p(aused), s(hut down), c(rashed), d(ying). */
  state: string;
}

/**
 * All domains but Domain-0 and those of probes. Empty where there is no xl, or no Xen: then no process is started. Throws Failure
 * `hypervisor-missing` if xl does not answer.
 */
export async function listDomains(host: XenHost, { signal }: Pick<Context, 'signal'>): Promise<Domain[]> {
  if (findProgram(host, 'xl') === null || !isControlDomain() || process.geteuid?.() !== 0) return [];
  const states = await readStates(host, signal);
  if (states.size === 0) return [];
  const long = await xl(host, ['list', '-l'], signal);
  if (long.exitStatus !== 0) throw noAnswer(complaintOf(long));
  return parseDomains(long.stdout).flatMap(({ domid, config }) => {
    const state = states.get(domid);
    return state === undefined || isProbe(config) ? [] : [{ domid, config, ...state }];
  });
}

/** Whether it is the domain of a probe. A guest that somebody gave such a name has disks, and a probe has none. */
export function isProbe({ c_info: { name }, disks: served = [] }: DomainConfig): boolean {
  return proberOf(name) !== null && served.length === 0;
}

/** The table of `xl list`, by the domains' numbers. */
async function readStates(
  host: XenHost,
  signal: AbortSignal,
): Promise<Map<number, Pick<Domain, 'state' | 'cpuSeconds'>>> {
  const table = await xl(host, ['list'], signal);
  if (table.exitStatus !== 0) throw noAnswer(complaintOf(table));
  return parseStates(table.stdout);
}

/** Parses the table of `xl list`. A name may hold anything, so it is read from the right. */
export function parseStates(table: string): Map<number, Pick<Domain, 'state' | 'cpuSeconds'>> {
  const states = new Map<number, Pick<Domain, 'state' | 'cpuSeconds'>>();
  for (const line of table.split('\n')) {
    const [, domid = '', state = '', seconds = ''] =
      /\s(\d+)\s+\d+\s+\d+\s+([a-z-]{6})\s+(\d+(?:\.\d+)?)\s*$/.exec(line) ?? [];
    if (state !== '' && domid !== '0')
      states.set(Number(domid), { state: state.replaceAll('-', ''), cpuSeconds: Number(seconds) });
  }
  return states;
}

/** Parses `xl list -l`. A domain that another program made, without a configuration that is understood, is left out. */
export function parseDomains(json: string): { domid: number; config: DomainConfig }[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw noAnswer('its list of domains is not JSON', error);
  }
  const { success, data } = domains.safeParse(parsed);
  if (!success) throw noAnswer('its list of domains has an unknown form');
  return data.flatMap(({ domid, config }) => {
    const read = domainConfig.safeParse(config);
    return domid === 0 || !read.success ? [] : [{ domid, config: read.data }];
  });
}

/** The state of one domain; null when it is gone. Throws Failure `hypervisor-missing` when xl does not answer. */
export async function stateOf(
  host: XenHost,
  domid: number,
  signal: AbortSignal,
): Promise<Pick<Domain, 'state' | 'cpuSeconds'> | null> {
  return (await readStates(host, signal)).get(domid) ?? null;
}

/** The number of the domain with this name; null when there is none. */
export async function domidOf(host: XenHost, name: string, signal: AbortSignal): Promise<number | null> {
  const { exitStatus, stdout } = await xl(host, ['domid', name], signal);
  const domid = /^(\d+)\s*$/.exec(stdout)?.[1];
  return exitStatus === 0 && domid !== undefined ? Number(domid) : null;
}

function noAnswer(reason: string, cause?: unknown): Failure {
  return new Failure('hypervisor-missing', placed`Xen does not answer ${here}: ${reason}.`, {
    advice: 'Try `xl list` there. Are xenstored and xenconsoled running?',
    cause,
  });
}

/** Different each time that the machine starts: numbers of domains then begin again. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
