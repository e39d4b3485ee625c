import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Resources } from '../../../src/pipeline/resources.ts';
import { EXTRA_DISK_BYTES } from '../../rigs/xen/machine.ts';
import { makeBlankDisk } from '../../rigs/xen/program-disk.ts';
import { startXen, type Dom0 } from '../../rigs/xen/start-xen.ts';
import { runTool } from '../images/images.ts';
import { vmferry } from '../programs/command-line.ts';
import { killTree } from '../programs/process-tree.ts';
import { umlProcessesOf } from './uml-processes.ts';

/** This machine, with guests of User Mode Linux, and a machine with Xen to which they move. */
export interface UmlBesideXen extends AsyncDisposable {
  /** For images. */
  directory: string;
  umlDir: string;
  dom0: Dom0;
  /** Runs vmferry on this machine, and returns its last record. Throws if it fails, with the console in Xen of the guest that the second argument names. */
  vmferry: (...args: string[]) => Promise<object>;
  /** @param to directory in dom0, as `dom0:/srv`, or `dom0` alone if each disk has a place of its own */
  moveToXen: (name: string, to: string, ...options: string[]) => Promise<object>;
}

export interface ExtraDisk {
  /** A script for sfdisk. */
  partitions: string;
  /** Called with the file that becomes /dev/vdc in dom0, when it has its partitions. */
  fill?: (file: string) => Promise<void>;
}

export async function startUmlBesideXen({ partitions, fill }: ExtraDisk): Promise<UmlBesideXen> {
  await using resources = new Resources();
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-to-xen-'));
  resources.hold({ [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) });
  const [umlDir, home] = [join(directory, 'uml'), join(directory, 'home')];
  for (const path of [umlDir, home]) await mkdir(path);
  const environment = { UML_DIR: umlDir, VMFERRY_STATE_DIR: join(directory, 'state'), HOME: home };
  resources.hold({
    // After a failed test, a guest may still run.
    async [Symbol.asyncDispose]() {
      for (const pid of umlProcessesOf(null, umlDir)) await killTree(pid);
    },
  });
  const extraDisk = join(directory, 'extra.img');
  await makeBlankDisk(extraDisk, EXTRA_DISK_BYTES);
  runTool('sfdisk', ['-q', extraDisk], partitions);
  await fill?.(extraDisk);
  const dom0 = resources.hold(await startXen({ extraDisk }));
  await dom0.run('partx', ['-a', '/dev/vdc']);
  // A first start takes twice as long as later ones, and a move waits only 2 minutes for it.
  await dom0.run('vmferry', ['--version']);
  const here: UmlBesideXen['vmferry'] = async (...args) => {
    const { exitStatus, stdout, stderr } = await vmferry([...args, '--json'], environment);
    if (exitStatus !== 0) throw new Error(`${stdout}${stderr}${await dom0.guestConsole(args[1] ?? '')}`);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as object;
  };
  const held = resources.release();
  return {
    directory,
    umlDir,
    dom0,
    vmferry: here,
    moveToXen: (name, to, ...options) => {
      const there = ['--to', to, '-F', dom0.sshConfigFile, '--as', 'xen', '--network', 'eth0=xenbr0'];
      return here('migrate', name, ...there, ...options);
    },
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}
