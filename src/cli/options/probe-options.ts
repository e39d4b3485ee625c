import { isIP } from 'node:net';
import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import { parseProbe, type Probe, type ProbeRequest } from '../../operations/migrate/probes/probe.ts';
import { flag, optionalText, texts, type Arguments } from './options.ts';

/** What has to answer after the boot as it did before the halt. */
export const probeOptions = {
  probe: {
    type: 'string',
    requiresArg: true,
    describe:
      'What must answer there as it does here, or the move is taken back: tcp:PORT, tcp:HOST:PORT, http://…, exec:COMMAND; or none. ' +
      'May be repeated. Without it, well-known TCP ports of the guest are probed, and only warn',
  },
  'probe-for': {
    type: 'string',
    default: '2m',
    requiresArg: true,
    describe: 'How long the probes may take after the boot: 30s, 2m, 1h',
  },
  address: {
    type: 'string',
    requiresArg: true,
    describe: "The guest's address, for probes; by default this machine's table of neighbours is asked",
  },
  'keep-open': {
    type: 'boolean',
    describe: 'If a probe fails, leave the guest on the new hardware; take it back with vmferry revert',
  },
} as const satisfies Record<string, Options>;

/** Those that may be given several times. */
export const repeatableProbeOptions = ['probe'] as const;

/** Throws Failure `usage`. */
export function readProbing(args: Arguments): ProbeRequest {
  const given = texts(args, 'probe');
  if (given.length > 1 && given.includes('none'))
    throw new Failure('usage', '--probe none excludes other probes.');
  const chosen = given.length === 0 ? null : given.filter((text) => text !== 'none').map(readProbe);
  return {
    chosen,
    address: readAddress(args),
    limitMs: readLimitMs(args),
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

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 } as const;
const LONGEST_MS = 24 * unitMs.h;

function readLimitMs(args: Arguments): number {
  const text = optionalText(args, 'probe-for') ?? '';
  const { count, unit } = /^(?<count>[1-9][0-9]{0,5})(?<unit>[smh])$/.exec(text)?.groups ?? {};
  const limitMs = unit === undefined ? Number.NaN : Number(count) * unitMs[unit as keyof typeof unitMs];
  if (limitMs <= LONGEST_MS) return limitMs;
  throw new Failure('usage', `--probe-for ${JSON.stringify(text)} is not understood.`, {
    advice: 'Give seconds, minutes or hours, at most a day: 30s, 2m, 1h.',
  });
}
