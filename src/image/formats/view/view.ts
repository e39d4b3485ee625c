import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../../failure.ts';
import { CompanionError, startCompanion } from '../../../system/companion-process.ts';
import type { BlockNode } from './block-graph.ts';

/*
 * qemu-storage-daemon(1) shows the disk in an image as a plain file, by FUSE. Reads and writes of that file by position, its
 * holes (SEEK_DATA, fallocate) and O_DIRECT work as on any file.
 */

const PROGRAM = 'qemu-storage-daemon';
/** nice(1), and ionice(1) with the class "idle". */
const YIELDING = ['nice', '-n', '19', 'ionice', '-c', '3'];

/** The disk of an image as a file. It vanishes when it is disposed of, and when this process ends, however it ends. */
export interface View extends AsyncDisposable {
  /** The file. */
  path: string;
}

export interface ViewOptions {
  writable: boolean;
  /** Whether it lets everybody else have the disk and the processors first. */
  yieldsDisk: boolean;
  /** The image, for messages. */
  image: string;
}

/** The directory belongs to this account only. A daemon that was killed leaves its mount. */
const CLEAN_UP = `
umount -l "$1/disk" 2>/dev/null || fusermount3 -uz "$1/disk" 2>/dev/null
rm -f "$1/disk"
rmdir "$1"
`;

/**
 * Shows the last node of a graph. Throws Failure `program-missing`, `image-in-use`, or `image-unsupported` with QEMU's own words.
 * Disposing of it throws Failure `write-failed` when the daemon could not write everything.
 */
export async function startView(
  graph: readonly BlockNode[],
  { writable, yieldsDisk, image }: ViewOptions,
): Promise<View> {
  const directory = mkdtempSync(join(tmpdir(), `vmferry-view-${process.pid}-`));
  const path = join(directory, 'disk');
  try {
    writeFileSync(path, '', { mode: 0o600 });
    const [program, ...args] = [
      ...(yieldsDisk ? YIELDING : []),
      PROGRAM,
      ...daemonArguments(graph, path, writable),
    ];
    const companion = await startCompanion(program ?? PROGRAM, args, {
      isReady: (line) => line.startsWith('{"QMP"'),
      cleanUp: CLEAN_UP,
      cleanUpArgument: directory,
      env: { ...process.env, LC_ALL: 'C' },
    });
    return {
      path,
      async [Symbol.asyncDispose]() {
        const status = await companion.end();
        if (status !== 0 && writable)
          throw new Failure(
            'write-failed',
            `${PROGRAM} ended with status ${status} while it wrote ${image}.`,
          );
      },
    };
  } catch (error) {
    rmSync(path, { force: true });
    rmSync(directory, { recursive: true, force: true });
    throw error instanceof CompanionError ? asFailure(error, image) : error;
  }
}

function daemonArguments(graph: readonly BlockNode[], path: string, writable: boolean): string[] {
  const last = graph.at(-1)?.['node-name'] ?? '';
  const view = {
    type: 'fuse',
    id: 'view',
    'node-name': last,
    mountpoint: path,
    writable,
    'allow-other': 'off',
  };
  return [
    ...graph.flatMap((node) => ['--blockdev', JSON.stringify(node)]),
    '--export',
    JSON.stringify(view),
    // Options are carried out in their order: the monitor's greeting says that all others were.
    '--chardev',
    'stdio,id=monitor',
    '--monitor',
    'chardev=monitor',
  ];
}

function asFailure(error: CompanionError, image: string): Failure {
  const { exitStatus, stderr } = error;
  if (exitStatus === 127)
    return new Failure('program-missing', `The program ${PROGRAM}, which reads ${image}, is not installed.`, {
      advice: 'On Debian and Ubuntu: apt-get install qemu-system-common qemu-utils',
      cause: error,
    });
  const said = wordsOf(stderr);
  if (/Failed to get .*lock/.test(stderr))
    return new Failure('image-in-use', `${image} is in use: another process has locked it.`, {
      advice: 'Halt the guest that uses it. Only one program at a time may have such an image open.',
      cause: error,
    });
  if (/fuse/i.test(said))
    return new Failure('program-missing', `${image} cannot be shown as a file by FUSE: ${said}.`, {
      advice:
        'Root needs /dev/fuse (modprobe fuse), other accounts also the program fusermount3: apt-get install fuse3',
      cause: error,
    });
  return new Failure('image-unsupported', `QEMU cannot read ${image}: ${said}.`, {
    advice: 'See what is wrong with it: qemu-img check, and qemu-img info.',
    cause: error,
  });
}

const LONGEST_WORDS = 300;

/** QEMU's message without its options and our names. */
function wordsOf(stderr: string): string {
  const [line = ''] = stderr.split('\n');
  const words = line.replace(/^[^:]*: /, '').replace(/^--\w+ \{.*\}: /, '');
  return words.slice(0, LONGEST_WORDS).replace(/\.$/, '') || 'it gives no reason';
}
