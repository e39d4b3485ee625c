import { isIP } from 'node:net';
import type { Options } from 'yargs';
import { Failure } from '../../../failure.ts';
import { parseProbe, type Probe, type ProbeRequest } from '../../../operations/migrate/probes/probe.ts';
import { readTimeSpanMs } from '../time-span.ts';
import { flag, optionalText, texts, type Arguments } from '../options.ts';

const USUAL_LIMIT_MS = 120_000;

/** What has to answer after the boot as it did before the halt. */
export const probeOptions = {
  probe: {
    type: 'string',
    requiresArg: true,
    describe:
      'What must answer there as it does here: tcp:PORT, tcp:HOST:PORT, http://…, exec:COMMAND; or none. If all do, the move is committed; if one ' +
      'does not, it is taken back. May be repeated. Without it, the well-known TCP ports of the guest that answer here are probed in the same way',
  },
  'probe-for': {
    type: 'string',
    requiresArg: true,
    describe: 'How long the probes may take after the boot: 30s, 1h; 2m unless given',
  },
  address: {
    type: 'string',
    requiresArg: true,
    describe: "The guest's address, for probes; by default this machine's table of neighbours is asked",
  },
  'keep-open': {
    type: 'boolean',
    describe:
      'Whatever the probes answer, leave the guest on the new hardware and the way back open: vmferry commit or revert ends that',
  },
} as const satisfies Record<string, Options>;

/** Those that may be given several times. */
export const repeatableProbeOptions = ['probe'] as const;

/** Throws Failure `usage`. */
export function readProbing(args: Arguments): ProbeRequest {
  const given = texts(args, 'probe');
  if (given.length > 1 && given.includes('none'))
    throw new Failure('usage', '--probe none excludes other probes.');
  const limitMs = readTimeSpanMs(args, 'probe-for') ?? USUAL_LIMIT_MS;
  const chosen = given.length === 0 ? null : given.filter((text) => text !== 'none').map(readProbe);
  return {
    chosen,
    address: readAddress(args),
    limitMs,
    keepOpen: flag(args, 'keep-open'),
  };
}

function readProbe(text: string): Probe {
  const probe = parseProbe(text);
  if (probe !== null) return probe;
  throw new Failure('usage', `--probe ${JSON.stringify(text)} is not understood.`, {
    advice:
      'For example: --probe tcp:22, --probe tcp:192.0.2.7:443, --probe http://web.example/ (without a password), --probe "exec:ping -c 1 192.0.2.7"',
  });
}

function readAddress(args: Arguments): string | null {
  const address = optionalText(args, 'address');
  if (address === null || isIP(address) !== 0) return address;
  throw new Failure('usage', `--address ${JSON.stringify(address)} is not an IP address.`);
}
