import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from '@jest/globals';
import type { MigrationReport } from '../../../src/operations/migrate/migration-report.ts';
import { mountNew } from '../../support/images/reflink-file-system.ts';
import { resultOf } from '../../support/programs/command-records.ts';
import { shareNetwork } from '../../support/ssh/shared-network.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { AnswerWatch } from './answer-watch.ts';
import { startQemuGuest, startUmlGuest, type GuestSize, type MovedGuest } from './moved-guest.ts';
import { TickWatch } from './tick-watch.ts';

/*
 * `npm run bench -- --downtime`: how long a guest that writes 1 MB/s is down while it moves. Only the table matters here; the moves
 * themselves are tested elsewhere.
 */
const { quick, rounds } = JSON.parse(process.env['VMFERRY_BENCH'] ?? '{"quick":true,"rounds":1}') as {
  quick: boolean;
  rounds: number;
};
const GIB = 2 ** 30;
const imageBytes = quick ? GIB : 4 * GIB;
const bulkBytes = Math.round((quick ? 0.3 : 1.25) * GIB);
const LONGEST_MS = 30 * 60_000;

interface Case {
  hypervisor: 'uml' | 'qemu' | 'qemu, qcow2';
  from: 'ext4' | 'xfs';
  line: 'cable' | '100 Mbit/s, 50 ms';
  cold: boolean;
}
const places: Pick<Case, 'from' | 'line' | 'cold'>[] = [
  { from: 'xfs', line: 'cable', cold: false },
  { from: 'ext4', line: 'cable', cold: false },
  { from: 'ext4', line: '100 Mbit/s, 50 ms', cold: false },
  { from: 'ext4', line: 'cable', cold: true },
  { from: 'ext4', line: '100 Mbit/s, 50 ms', cold: true },
];
const cases: Case[] = (quick ? (['uml'] as const) : (['uml', 'qemu', 'qemu, qcow2'] as const)).flatMap(
  (hypervisor) => places.map((place) => ({ hypervisor, ...place })),
);

interface Measured extends Case {
  round: number;
  gapSeconds: number;
  /** For a client outside. */
  silentSeconds: number;
  report: Pick<
    MigrationReport,
    'downtimeSeconds' | 'downtimeParts' | 'predictedDowntimeSeconds' | 'passes' | 'seconds'
  >;
}
const measured: Measured[] = [];

for (let round = 1; round <= rounds; round++)
  for (const one of cases)
    test(
      `${one.hypervisor}, ${one.from}, ${one.line}${one.cold ? ', --cold' : ''}, round ${round}`,
      async () => {
        await using hosts = await startTwoHosts();
        await shareNetwork(hosts);
        using mounted = one.from === 'xfs' ? mountNew('xfs', 2 * imageBytes) : null;
        const directory = mounted?.path ?? hosts.old.images;
        await using guest = await startGuest(one, hosts, { imageBytes, bulkBytes, directory });
        const argv = [...guest.migrateArguments, ...(one.cold ? ['--cold'] : [])];
        await using line = one.line === 'cable' ? null : await longLine(hosts);
        const command =
          line === null ? argv : argv.map((word) => (word === line.replaces ? line.config : word));
        using client = new AnswerWatch(hosts);
        await client.answered();
        using watch = new TickWatch([guest.consoleLog, join(hosts.new.stateDir, 'console', 'web.log')]);
        const report = resultOf<MigrationReport>(await hosts.run(command));
        expect(report.type).toBe('moved');
        const [gapSeconds, silentSeconds] = [watch.longestGapMs / 1000, client.longestGapMs / 1000];
        measured.push({ ...one, round, gapSeconds, silentSeconds, report });
      },
      LONGEST_MS,
    );

afterAll(() => {
  mkdirSync('bench-results', { recursive: true });
  const file = join('bench-results', `downtime-${new Date().toISOString().replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(measured, null, 2)}\n`);
  const seconds = (value: number | null | undefined) => (value ?? 0).toFixed(1);
  const rows = measured.map(({ hypervisor, from, line, cold, gapSeconds, silentSeconds, report }) => {
    const { downtimeSeconds, downtimeParts: parts, predictedDowntimeSeconds, passes } = report;
    return {
      guest: hypervisor,
      from,
      line,
      copy: cold ? 'cold' : `warm, ${passes.length - 1} passes`,
      'longest gap': seconds(gapSeconds),
      'no answer': seconds(silentSeconds),
      downtime: seconds(downtimeSeconds),
      predicted: predictedDowntimeSeconds === null ? '-' : seconds(predictedDowntimeSeconds),
      halt: seconds(parts?.haltSeconds),
      'last pass': seconds(parts?.copySeconds),
      'verify, publish': seconds(parts?.verifySeconds),
      boot: seconds(parts?.bootSeconds),
      'whole move': seconds(report.seconds),
    };
  });
  const [first] = rows;
  if (first === undefined) return;
  const lines = [Object.keys(first), ...rows.map((row) => Object.values(row))].map(
    (row) => `| ${row.join(' | ')} |`,
  );
  process.stdout.write(`\n${lines.join('\n')}\n\nSeconds. Also in ${file}\n`);
});

function startGuest({ hypervisor }: Case, hosts: TwoHosts, size: GuestSize): Promise<MovedGuest> {
  if (hypervisor === 'uml') return startUmlGuest(hosts, size);
  return startQemuGuest(hosts, size, hypervisor === 'qemu' ? 'raw' : 'qcow2');
}

/** 100 Mbit/s in each direction, and 50 ms for a byte and its answer. `config` is the ssh configuration that uses it. */
async function longLine(hosts: TwoHosts): Promise<AsyncDisposable & { replaces: string; config: string }> {
  const { lab } = hosts;
  await lab.rate('100mbit');
  const request = {
    listenPort: 0,
    address: lab.addresses.new,
    port: 22,
    oneWayMs: 25,
    limitBytes: 1_250_000,
  };
  const program = new URL('../lines/delaying-proxy-process.mjs', import.meta.url).pathname;
  const [command, ...args] = [...lab.prefix('old'), process.execPath, program, JSON.stringify(request)];
  const proxy = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<string>((resolve) => createInterface(proxy.stdout).once('line', resolve));
  const config = await lab.server.configWith(
    'Host new',
    '  HostName 127.0.0.1',
    `  Port ${port}`,
    `  HostKeyAlias ${lab.addresses.new}`,
  );
  return {
    replaces: lab.server.sshConfigFile,
    config,
    [Symbol.asyncDispose]: async () => {
      proxy.kill();
      await lab.rate(null);
    },
  };
}
