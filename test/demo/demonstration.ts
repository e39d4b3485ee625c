import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolsMissing } from '../support/programs/tools.ts';
import { bootUmlGuest, guestBootCount } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { buildBootableDisk, buildDataDisk, checksumOnDisk } from './demo-guest.ts';
import { makeDemoHosts, newHost, type DemoHost, type DemoHosts } from './demo-hosts.ts';
import { createRunner, Interrupted, type Runner } from './interruptible.ts';

const guest = 'web';
const disk = `${guest}.img`;

/** Runs the demo's commands on the old host. */
interface Stage {
  hosts: DemoHosts;
  runner: Runner;
}

/** Shows a move from beginning to end and returns the exit status. Always removes everything. */
export async function demonstrate(): Promise<number> {
  const missing = toolsMissing('sshd', 'ssh', 'ssh-keygen', 'setsid', 'mke2fs', 'debugfs');
  if (missing !== null) throw new Error(`The demo cannot run: ${missing}.`);
  using runner = createRunner();
  try {
    await using hosts = await makeDemoHosts();
    const reason = umlMissing();
    const same = await (reason === null ? moveGuest({ hosts, runner }) : moveDisk({ hosts, runner }, reason));
    runner.throwIfInterrupted();
    say(same ? 'It is the same guest. Everything made for this demo is removed again.' : 'THEY DIFFER.');
    return same ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say('Interrupted. Everything made for this demo is removed again.');
    return 130;
  }
}

async function moveGuest(stage: Stage): Promise<boolean> {
  const { hosts, runner } = stage;
  const source = join(hosts.old.guests, disk);
  const target = join(hosts.new.guests, disk);
  say('Building a guest with a disk of 512 MiB, and booting it under User Mode Linux.');
  const { files } = await buildBootableDisk(source);
  runner.throwIfInterrupted();
  const { UML_DIR: umlDir = '' } = hosts.old.environment;
  const booted = await bootUmlGuest({ image: source, name: guest, umlDir });
  try {
    quote('Its console says', bootLine(booted.consoleLog));
    await type(stage, 'vmferry guests');
    say(`Moving it to ${newHost}: a second sshd on this machine, with its own directories.`);
    await type(stage, `vmferry migrate ${guest} -F ssh_config --to ${newHost}:${hosts.new.guests}`);
    quote('\nIts console there says', bootLine(consoleThere(hosts.new)));
    await type(stage, 'vmferry guests');
    await type(stage, `ssh -F ssh_config ${newHost} vmferry guests`);
    say('Halting it there, to compare both disks: the old one and the new one.');
    await type(stage, `ssh -F ssh_config ${newHost} vmferry halt ${guest}`);
  } finally {
    await booted.stop();
  }
  const boots = [await guestBootCount(source), await guestBootCount(target)] as const;
  const once = boots[1] === boots[0] + 1;
  const rows = [['boots', String(boots[0]), String(boots[1]), once ? 'one more' : 'WRONG']];
  return (await compareFiles(source, target, files, rows)) && once;
}

async function moveDisk(stage: Stage, reason: string): Promise<boolean> {
  const { hosts } = stage;
  const source = join(hosts.old.guests, disk);
  say(`User Mode Linux cannot run here (${reason}), so the demo moves the disk of a halted guest.`);
  const { files } = await buildDataDisk(source);
  await type(stage, `vmferry inspect old/guests/${disk}`);
  say(`Moving it to ${newHost}: a second sshd on this machine, with its own directories.`);
  await type(stage, `vmferry migrate old/guests/${disk} -F ssh_config --to ${newHost}:${hosts.new.guests}`);
  return compareFiles(source, join(hosts.new.guests, disk), files, []);
}

/** Prints the given rows and one for each file; returns whether all files are unchanged on both disks. */
async function compareFiles(
  source: string,
  target: string,
  files: readonly { path: string; sha256: string }[],
  rows: string[][],
): Promise<boolean> {
  let same = true;
  for (const { path, sha256 } of files) {
    const sums = [await checksumOnDisk(source, path), await checksumOnDisk(target, path)];
    const equal = sums.every((sum) => sum === sha256);
    same &&= equal;
    rows.push([`sha256 ${path}`, ...sums.map((sum) => `${sum.slice(0, 16)}...`), equal ? 'same' : 'DIFFERS']);
  }
  console.log('');
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const [name, ...cells] = ['', 'here, before', `on ${newHost}`];
  for (const [first = '', ...others] of [[name ?? '', ...cells, ''], ...rows])
    console.log(`  ${first.padEnd(width)}  ${others.map((cell) => cell.padEnd(19)).join('  ')}`.trimEnd());
  return same;
}

/** Prints the command line and runs it on the old host, in the demo's directory; shows its output as it comes. */
async function type({ hosts, runner }: Stage, commandLine: string): Promise<void> {
  console.log(`\n$ ${commandLine}`);
  const [program = '', ...args] = commandLine.split(' ');
  const exitStatus = await runner.run(program, args, { cwd: hosts.directory, env: hosts.old.environment });
  if (exitStatus !== 0) throw new Error(`The demo stops here: exit status ${exitStatus}.`);
}

function say(text: string): void {
  console.log(`\n${text}`);
}

function quote(who: string, line: string): void {
  console.log(`${who}: ${line}`);
}

function consoleThere({ environment }: DemoHost): string {
  return join(environment['VMFERRY_STATE_DIR'] ?? '', 'console', `${guest}.log`);
}

function bootLine(consoleLog: string): string {
  const lines = readFileSync(consoleLog, 'latin1').match(/GUEST-UP.*/g);
  return lines?.at(-1)?.trim() ?? 'nothing';
}
