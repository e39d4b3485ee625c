import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { describeUnless, findTool } from '../../support/programs/tools.ts';

const built = join(import.meta.dirname, '../../../dist/guest/preflight/check-network.js');
const isRoot = process.geteuid?.() === 0;
const reason = !isRoot ? 'needs root' : findTool('ip') === null ? 'ip is not installed' : null;

/** Runs the check in a network of its own, with a bridge that is up, one that is down, a tap device, and a plain one. */
const script = `
mount -t sysfs none /sys
ip link add up0 type bridge && ip link set up0 up
ip link add down0 type bridge
ip tuntap add tap0 mode tap
ip link add plain0 type dummy 2>/dev/null || ip link add plain0 type veth peer name peer0
exec "$1" --input-type=module -e "
import { checkNetwork } from '$2';
const names = { bridge: ['up0', 'down0', 'plain0', 'none0', 'none0'], tap: ['tap0', 'tap1'] };
const cards = Object.entries(names).flatMap(([kind, all]) => all.map((name) => ({ attachedTo: { kind, name } })));
const problems = checkNetwork({ driver: 'qemu', commandLine: [], networkCards: cards, disks: [] }, '/sys/class/net', false);
const uml = checkNetwork({ driver: 'uml', commandLine: ['eth0=tuntap,tap9,52:54:00:00:00:01', 'vec0:transport=tap,ifname=tap0'] }, '/sys/class/net', false);
console.log(JSON.stringify([...problems, ...uml].map(({ message, advice }) => ({ message, advice }))));
"`;

describeUnless(reason, 'the network that a guest needs', () => {
  let problems: { message: string; advice: string }[];
  beforeAll(() => {
    const args = ['-n', '-m', 'sh', '-ec', script, 'sh', process.execPath, built];
    const { stdout, stderr } = spawnSync('unshare', args, {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect(stderr).toBe('');
    problems = JSON.parse(stdout) as typeof problems;
  });

  test('is looked at with real bridges and tap devices, and each problem is told once', () => {
    expect(problems.map(({ message }) => message)).toEqual([
      'The bridge down0 here is down.',
      'The network device plain0 here is no bridge.',
      'The bridge none0 is not here.',
      'The tap device tap1 is not here.',
      'The tap device tap9 is not here.',
    ]);
  });

  test('has advice that can be typed', () => {
    expect(problems[0]?.advice).toContain('`ip link set down0 up`');
    expect(problems[2]?.advice).toContain('`ip link add none0 type bridge`');
  });
});
