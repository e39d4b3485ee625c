import { copyFile, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { freePort } from '../../support/ssh/ssh-server.ts';
import { cachedBuild, digestOfFiles } from '../base/build-cache.ts';
import { succeed } from '../base/command.ts';
import { makeMachineDirectory } from '../base/qemu-process.ts';
import { withQmp } from '../base/qmp.ts';
import type { Dom0Build } from './dom0-build.ts';
import { connectToDom0 } from './dom0-ssh.ts';
import { EXTRA_DISK_BYTES, PROGRAM_DISK_BYTES, qmpFile, startMachine } from './machine.ts';
import { makeBlankDisk } from './program-disk.ts';

/** A booted dom0 whose memory was saved. Its program disk and extra disk were never read or written. */
export interface SavedDom0 {
  stateFile: string;
  /** dom0's root disk as it was then. */
  rootDisk: string;
}

const bootCpuSeconds = 180;
const saveCpuSeconds = 60;

/** Boots dom0 once and saves it, or finds it in the cache. */
export async function savedDom0(build: Dom0Build): Promise<SavedDom0> {
  const directory = await cachedBuild({
    name: 'saved-xen',
    key: [
      basename(build.directory),
      // New with each build.
      await readFile(`${build.identityFile}.pub`, 'utf8'),
      await succeed('qemu-system-x86_64', ['--version']),
      digestOfFiles(import.meta.dirname, ['machine.ts', 'saved-dom0.ts']),
    ],
    build: (target) => bootAndSave(build, target),
  });
  return { stateFile: join(directory, 'state.zst'), rootDisk: join(directory, 'root.qcow2') };
}

/** Makes a disk that holds only what differs from another one. */
export async function makeOverlay(
  path: string,
  backing: string,
  backingFormat: 'raw' | 'qcow2',
): Promise<void> {
  await succeed('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', backingFormat, '-b', backing, path]);
}

async function bootAndSave(build: Dom0Build, target: string): Promise<void> {
  const directory = await makeMachineDirectory();
  const disks = {
    root: join(directory, 'root.qcow2'),
    program: join(directory, 'program.img'),
    extra: join(directory, 'extra.img'),
  };
  await makeOverlay(disks.root, build.disk, 'raw');
  await makeBlankDisk(disks.program, PROGRAM_DISK_BYTES);
  await makeBlankDisk(disks.extra, EXTRA_DISK_BYTES);
  const port = await freePort();
  await using qemu = await startMachine(directory, build, disks, port);
  {
    await using ssh = await connectToDom0(directory, build, port, qemu, bootCpuSeconds);
    // sshd starts last. Node is read once, so that it is in memory.
    for (const command of [['xl', 'list'], ['node', '--version'], ['sync']]) {
      const { exitStatus, stderr } = await ssh.run(command);
      if (exitStatus !== 0)
        throw new Error(`${command.join(' ')} failed in dom0: ${stderr}${qemu.console()}`);
    }
  }
  await withQmp(qmpFile(directory), async (qmp) => {
    await qmp('migrate-set-parameters', { 'max-bandwidth': 10 ** 10 });
    await qmp('migrate', { uri: `exec:zstd -q -3 -o '${join(target, 'state.zst')}'` });
    await qemu.waitFor('the state to be saved', saveCpuSeconds, async () => {
      const { status } = (await qmp('query-migrate')) as { status: string };
      if (status === 'failed') throw new Error('the state could not be saved');
      return status === 'completed';
    });
  });
  await copyFile(disks.root, join(target, 'root.qcow2'));
}
