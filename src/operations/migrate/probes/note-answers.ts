import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { isImageOnly } from '../../../guest/definition.ts';
import type { ResolvedGuest } from '../../../guest/resolve-guest.ts';
import { describeAnswer, type Answer } from './answer.ts';
import { askProbe } from './ask.ts';
import { findGuestAddresses } from './guest-addresses.ts';
import { nameOfProbe, type Probe, type ProbeRequest } from './probe.ts';

/** What a probe is to answer after the boot. */
export interface NotedAnswer {
  probe: Probe;
  isChosen: boolean;
  before: Answer;
}

/** Answers that are older than this are asked for again before the halt. */
const FRESH_MS = 60_000;

export interface NotedAnswers {
  guest: string;
  /** By the monotonic clock. */
  notedAtMs: number;
  address: string | null;
  /** Of the automatic probes, only those that answered. */
  answers: readonly NotedAnswer[];
}

/** ftp, ssh, telnet, smtp, dns, http, pop3, imap, ldap, https, smb, submission, databases, … */
const wellKnownPorts = [
  21, 22, 23, 25, 53, 80, 110, 143, 389, 443, 445, 465, 587, 636, 993, 995, 3306, 5432, 6379, 8080, 8443,
];

/**
 * Asks all probes before the halt, and notes what they answer. A guest that does not run is not asked. Throws Failure `usage` if a chosen
 * probe needs the guest's address and it is not known.
 */
export async function noteAnswers(
  { definition, running }: ResolvedGuest,
  request: ProbeRequest,
  context: Context,
): Promise<NotedAnswers> {
  const { name } = definition;
  const nothing = { guest: name, notedAtMs: performance.now(), address: request.address, answers: [] };
  if (request.chosen?.length === 0 || isImageOnly(definition)) return nothing;
  if (running === null) {
    if (request.chosen !== null)
      tell(context, `${name} does not run, so there is no answer to compare with: it is not probed.`);
    return nothing;
  }
  const addresses = request.address === null ? await findGuestAddresses(definition) : [request.address];
  if (request.chosen === null) return { ...nothing, ...(await noteAutomatic(name, addresses, context)) };
  const address = request.chosen.some(needsAddress) ? theAddress(name, addresses) : (addresses[0] ?? null);
  const probes = request.chosen.map((probe) => ({ probe, isChosen: true }));
  const answers = await askAll(probes, { name, address }, context.signal);
  for (const answer of answers) tellAnswer(answer, context);
  return { ...nothing, address, answers };
}

/**
 * Asks the same again if that was long ago: the copy of a guest may take days, and a service that was stopped meanwhile is not missed after the
 * boot. For just before the halt.
 */
export async function refreshAnswers(
  noted: NotedAnswers,
  context: Context,
  freshMs = FRESH_MS,
): Promise<NotedAnswers> {
  const { guest: name, address, answers: earlier } = noted;
  if (performance.now() - noted.notedAtMs < freshMs) return noted;
  const asked = await askAll(earlier, { name, address }, context.signal);
  asked.forEach((answer, index) => {
    const wasOpen = earlier[index]?.before.answered ?? false;
    if (answer.before.answered !== wasOpen) tellAnswer(answer, context);
  });
  const answers = asked.filter(({ isChosen, before }) => isChosen || before.answered);
  return { ...noted, notedAtMs: performance.now(), answers };
}

function tellAnswer({ probe, before }: NotedAnswer, context: Context): void {
  const isRequired = before.answered ? '' : ' It is not required after the boot.';
  tell(context, `Before the halt, ${nameOfProbe(probe)} ${describeAnswer(before)}.${isRequired}`);
}

async function noteAutomatic(
  name: string,
  addresses: readonly string[],
  context: Context,
): Promise<Pick<NotedAnswers, 'address' | 'answers'>> {
  if (addresses.length === 0) {
    const message = `No address of ${name} is known here, so none of its ports is probed. To have that done, give its address: --address 192.0.2.7`;
    tell(context, message);
    return { address: null, answers: [] };
  }
  const probes = addresses.flatMap((host) =>
    wellKnownPorts.map((port) => ({ probe: { kind: 'tcp', host, port } as const, isChosen: false })),
  );
  const asked = await askAll(probes, { name, address: addresses[0] ?? null }, context.signal);
  const answers = asked.filter(({ before }) => before.answered);
  const open = answers.map(({ probe }) => nameOfProbe(probe)).join(', ');
  const found =
    open === ''
      ? 'no well-known TCP port answers.'
      : `these answer: ${open}. After the boot they must answer in the same way. If its address changes: --probe none`;
  tell(context, `${name} is at ${addresses.join(', ')}; ${found}`);
  return { address: addresses[0] ?? null, answers };
}

function askAll(
  probes: readonly Omit<NotedAnswer, 'before'>[],
  guest: { name: string; address: string | null },
  signal: AbortSignal,
): Promise<NotedAnswer[]> {
  return Promise.all(
    probes.map(async ({ probe, isChosen }) => {
      const before = await askProbe(probe, { ...guest, phase: 'before' }, signal);
      return { probe, isChosen, before };
    }),
  );
}

function needsAddress(probe: Probe): boolean {
  return probe.kind === 'tcp' && probe.host === null;
}

function theAddress(name: string, [first, ...others]: readonly string[]): string {
  if (first === undefined)
    throw new Failure('usage', `The address of ${name} is not known here, and a probe needs it.`, {
      advice: 'Give it (--address 192.0.2.7), or name it in the probe (--probe tcp:192.0.2.7:22).',
    });
  if (others.length > 0)
    throw new Failure('usage', `${name} has several addresses: ${[first, ...others].join(', ')}.`, {
      advice: `Say which one to probe: --address ${first}`,
    });
  return first;
}

function tell({ report }: Context, message: string): void {
  report({ type: 'notice', message });
}
