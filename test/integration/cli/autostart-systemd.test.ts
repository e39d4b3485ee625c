import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { haltGuest } from '../../../src/operations/guests/halt-guest.ts';
import { guestUnitName, guestUnitText } from '../../../src/schedule/guest-unit.ts';
import { moveUnitName, moveUnitText } from '../../../src/schedule/move-unit.ts';
import { run } from '../../../src/system/processes.ts';
import { bootUmlGuest, buildGuestImage, isFileSystemClean } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { programFile } from '../../support/programs/command-line.ts';
import { runService, systemd } from '../../support/programs/systemd-manager.ts';
import { describeUnless, describeWithTools, toolsMissing } from '../../support/programs/tools.ts';

let home: string;
let units: string;

beforeEach(() => {
  home = mkdtempSync('/var/lib/vmferry-autostart-');
  units = join(home, '.config', 'systemd', 'user');
  mkdirSync(units, { recursive: true });
});

afterEach(() => {
  rmSync(home, { recursive: true });
});

const oddName = 'a "b\' \\ % $ é';
const unitOf = {
  guest: (common: { vmferry: string[]; environment: Record<string, string>; isSystem: boolean }) => ({
    name: guestUnitName(oddName),
    text: guestUnitText({
      guest: `uml:${oddName}`,
      ...common,
      bootTimeoutSeconds: 60,
      haltTimeoutSeconds: 60,
      after: ['vmferry-guest-db.service'],
    }),
  }),
  move: (common: { vmferry: string[]; environment: Record<string, string>; isSystem: boolean }) => ({
    name: moveUnitName(oddName),
    text: moveUnitText({ guest: oddName, destination: 'root@new', ...common }),
  }),
};

describeWithTools('the unit of a guest', ['systemd-analyze', 'systemd-escape'], () => {
  test.each([
    ['guest', true],
    ['guest', false],
    ['move', true],
    ['move', false],
  ] as const)('is found right by systemd-analyze verify (%s, of the system: %s)', async (kind, isSystem) => {
    const common = {
      vmferry: ['/bin/true', programFile],
      environment: { HOME: '/root', A: '% $ "' },
      isSystem,
    };
    const { name, text } = unitOf[kind](common);
    const file = join(home, name ?? '');
    writeFileSync(file, text ?? '');
    const env = { ...process.env, SYSTEMD_UNIT_PATH: `${home}:` };
    const { stdout, stderr, exitStatus } = await run('systemd-analyze', ['verify', file], { env });
    const said = (stdout + stderr).split('\n').filter((line) => line.includes('vmferry'));
    expect({ said, exitStatus }).toEqual({ said: [], exitStatus: 0 });
  });

  test.each(['web', 'my web', 'é@%:,+~', String.raw`a\x2db`, '日本', 'A_b.c'])(
    'is named as systemd-escape does: %s',
    async (name) => {
      const { stdout } = await run('systemd-escape', ['--', name]);
      expect(guestUnitName(name)).toBe(`vmferry-guest-${stdout.trim()}.service`);
    },
  );
});

const missing =
  umlMissing() ??
  toolsMissing('unshare', 'setpriv', 'systemctl') ??
  (existsSync(systemd) ? null : 'systemd is not installed') ??
  (process.getuid?.() === 0 ? null : 'only root can start another systemd');

describeUnless(missing, 'vmferry autostart, under a real systemd', () => {
  test('starts a guest with the machine, and halts it cleanly with it', async () => {
    const image = join(home, 'guest.img');
    const umlDir = join(home, 'uml');
    const state = join(home, 'state');
    const environment = { UML_DIR: umlDir, VMFERRY_STATE_DIR: state, XDG_CONFIG_HOME: join(home, '.config') };
    await buildGuestImage({ path: image, dataBytes: 65_536, onCtrlAltDel: 'quick-poweroff' });
    await rememberHalted(image, umlDir, state);
    // The targets of a machine that does nothing else.
    for (const [target, lines] of [
      ['basic', ['DefaultDependencies=no', 'Conflicts=shutdown.target']],
      ['default', ['Requires=basic.target', 'After=basic.target']],
      ['shutdown', ['DefaultDependencies=no']],
    ] as const)
      writeFileSync(join(units, `${target}.target`), ['[Unit]', ...lines, ''].join('\n'));
    const script = join(home, 'scenario.sh');
    writeFileSync(script, scenario);
    const assignments = Object.entries(environment).map(([name, value]) => `Environment=${name}=${value}`);
    const service = [
      '[Service]',
      'Type=oneshot',
      // The others end at the shutdown.
      'Slice=-.slice',
      ...assignments,
      `ExecStart=/bin/bash ${script} ${process.execPath} ${programFile} ${home}`,
      '',
    ];
    writeFileSync(join(units, 'scenario.service'), service.join('\n'));

    const status = await runService(units, 'scenario.service', { home, timeoutMs: 180_000 });
    const said = (step: string) => readFileSync(join(home, step), 'utf8');
    const records = (step: string) =>
      said(step)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect({ status, trace: status === 0 ? '' : said('trace') }).toEqual({ status: 0, trace: '' });
    const unit = 'vmferry-guest-my-alpha.service';
    const file = join(units, unit);
    const report = { type: 'autostart', guest: 'my-alpha', driver: 'uml', isSystem: false, unit, file };
    const made = records('made');
    expect(made.at(-1)).toEqual({ ...report, autostart: true });
    expect(made).toContainEqual({
      type: 'warning',
      code: 'other',
      message: expect.stringContaining(`systemctl --user restart ${unit}`),
    });
    expect(said('group')).toContain(`/${unit}\n`);
    const guests = (step: string) => (records(step).at(-1) as { guests: unknown[] }).guests;
    const guest = (running: boolean) =>
      expect.objectContaining({ state: running ? 'running' : 'halted', autostart: true });
    expect(guests('after-shutdown')).toEqual([guest(false)]);
    expect(guests('after-boot')).toEqual([guest(true)]);
    expect(records('removed').at(-1)).toEqual({ ...report, autostart: false });
    expect(guests('after-removal')).toEqual([expect.objectContaining({ autostart: null })]);
    expect(existsSync(file)).toBe(false);
    expect(existsSync(join(units, 'default.target.wants', unit))).toBe(false);
    expect(await isFileSystemClean(image)).toBe(true);
  }, 240_000);
});

async function rememberHalted(image: string, umlDir: string, state: string): Promise<void> {
  const guest = await bootUmlGuest({ image, name: 'my-alpha', umlDir });
  try {
    const dependencies = {
      drivers: [createUmlDriver({ ...process.env, UML_DIR: umlDir })],
      records: createRecordStore(join(state, 'guests')),
    };
    const context = { signal: new AbortController().signal, report: () => undefined };
    const request = { guest: 'my-alpha', forceHalt: false, haltTimeoutMs: 30_000 };
    await haltGuest(request, dependencies, context);
  } finally {
    await guest.stop();
  }
}

const scenario = String.raw`
node="$1" program="$2" home="$3"
exec 2>"$home/trace"
set -ex
unit=vmferry-guest-my-alpha.service
vmferry() { "$node" "$program" "$@"; }
userctl() { systemctl --user "$@"; }

# By hand, so that it is in this service's control group.
vmferry start my-alpha
vmferry autostart my-alpha --user --json >"$home/made"
userctl is-active "$unit"
userctl restart "$unit"
cat "/proc/$(cat "$UML_DIR/my-alpha/pid")/cgroup" >"$home/group"

userctl start shutdown.target
vmferry guests --json >"$home/after-shutdown"
test "$(userctl show -P ActiveState "$unit")" = inactive

userctl start default.target
vmferry guests --json >"$home/after-boot"
userctl is-active "$unit"
vmferry start my-alpha --if-down

# Halted by hand: nothing is left to do for the unit, which has not failed.
vmferry halt my-alpha
userctl stop "$unit"
test "$(userctl show -P Result "$unit")" = success

vmferry autostart my-alpha --off --user --json >"$home/removed"
vmferry guests --json >"$home/after-removal"
`;
