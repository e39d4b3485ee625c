import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Failure } from '../../../failure.ts';
import { command, here, placed, vmferry } from '../../../placed-text.ts';
import { findProgramOnPath, isExecutableFile } from '../../../system/children/find-program.ts';
import type { GuestDefinition } from '../../definition.ts';
import { mconsoleMissing } from './mconsole/mconsole.ts';
import { umlCommandLine } from './command-line.ts';
import { socketPath, type UmlHost } from './host.ts';
import { findUmlGuest } from './find.ts';

/** UMID_LEN in the kernel's arch/um/os-Linux/umid.c, less its terminating zero; a longer name would be cut. */
const maximumUmidBytes = 63;
/** sun_path in linux/un.h, less its terminating zero. */
const maximumSocketPathBytes = 107;

export interface Bootability {
  /** The kernel to start: the guest's own, otherwise one on the PATH; null when there is neither. */
  kernel: string | null;
  /** Everything that keeps the guest from being booted here. */
  problems: Failure[];
}

/** Checks without starting anything. */
export function checkUmlBootable(definition: GuestDefinition, host: UmlHost): Bootability {
  const { name, initrd } = definition;
  const kernel = findKernel(definition, host);
  const problems: Failure[] = [];
  if (kernel === null) problems.push(kernelMissing(definition));
  if (findProgramOnPath('uml_mconsole', host.environment) === null) problems.push(mconsoleMissing());
  if (initrd !== null && !existsSync(initrd))
    problems.push(
      new Failure('hypervisor-missing', placed`The guest's initial RAM disk ${initrd} is not ${here}.`, {
        advice: 'Copy it from the machine that the guest ran on, to the same path.',
      }),
    );
  if (findUmlGuest(host, name) !== null)
    problems.push(
      new Failure('guest-already-running', placed`A guest named ${name} runs ${here} already.`, {
        advice: placed`Halt that one, with \`${vmferry('halt', name)}\`, or start it under another umid.`,
      }),
    );
  problems.push(
    ...nameProblems(name, host),
    ...commandLineProblems(definition),
    ...formatProblems(definition),
  );
  return { kernel, problems };
}

function formatProblems({ disks }: GuestDefinition): Failure[] {
  return disks
    .filter(({ format = 'raw' }) => format !== 'raw' && format !== 'cow')
    .map(
      ({ path, format }) =>
        new Failure('guest-unsupported', `User Mode Linux reads raw images, and ${path} is ${format}.`, {
          advice: 'Give it a raw image: --format raw',
        }),
    );
}

function findKernel({ kernel }: GuestDefinition, host: UmlHost): string | null {
  if (kernel !== null && isExecutableFile(kernel)) return kernel;
  const onPath = (program: string) => findProgramOnPath(program, host.environment);
  return onPath('linux.uml') ?? onPath(basename(kernel ?? 'linux'));
}

function kernelMissing({ kernel }: GuestDefinition): Failure {
  return new Failure(
    'hypervisor-missing',
    placed`User Mode Linux is not installed ${here}: there is no ${kernel === null ? '' : `${kernel} and no `}linux.uml on the PATH.`,
    {
      advice: placed`On Debian: \`${command('apt-get', 'install', 'user-mode-linux')}\`; or copy the kernel to the same path.`,
    },
  );
}

/** With too long a name the kernel would go on under another name, or without a management console. */
function nameProblems(name: string, host: UmlHost): Failure[] {
  if (Buffer.byteLength(name) > maximumUmidBytes)
    return [
      new Failure('guest-unsupported', `The name ${name} is too long for User Mode Linux.`, {
        advice: `Start the guest under a umid of at most ${maximumUmidBytes} bytes.`,
      }),
    ];
  if (Buffer.byteLength(socketPath(host, name)) > maximumSocketPathBytes)
    return [
      new Failure('guest-unsupported', `The path ${socketPath(host, name)} is too long for a socket.`, {
        advice: 'Set UML_DIR to a directory with a shorter path.',
      }),
    ];
  return [];
}

function commandLineProblems(definition: GuestDefinition): Failure[] {
  try {
    umlCommandLine(definition);
    return [];
  } catch (error) {
    if (error instanceof Failure) return [error];
    throw error;
  }
}
