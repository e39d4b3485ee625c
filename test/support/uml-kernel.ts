import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { findTool, toolsMissing } from './tools.ts';

/** UML kernels from this version on save a processor's extended state whatever its size. */
const firstWithAnyXstate = [6, 13] as const;

/** Why no UML guest can run here; null when one can. */
export function umlMissing(): string | null {
  const missing = toolsMissing('linux.uml', 'uml_mconsole', 'mke2fs', 'busybox', 'dumpe2fs');
  if (missing !== null || !needsShim()) return missing;
  const compilerMissing = toolsMissing('cc');
  return compilerMissing === null
    ? null
    : `this processor has AMX, which this UML needs a shim for; ${compilerMissing}`;
}

/**
 * The UML kernel for tests: a path that starts a guest. That is the installed one, or, where the processor has
 * AMX and the kernel does not know it, a script beside a small library that mends this (uml-xstate-shim.c). The
 * script passes its own name on, so that the guest's command line names it.
 */
export function umlKernel(): string {
  const kernel = findTool('linux.uml');
  if (kernel === null) throw new Error('linux.uml is not installed');
  return needsShim() ? shimmedKernel(kernel) : kernel;
}

function needsShim(): boolean {
  if (!/^flags.*\bamx_tile\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return false;
  const { stdout } = spawnSync(findTool('linux.uml') ?? 'linux.uml', ['--version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = stdout.split('.').map(Number);
  const [wantedMajor, wantedMinor] = firstWithAnyXstate;
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

/** Built once for each state of its source, and kept: guests may outlive the test run that built it. */
function shimmedKernel(kernel: string): string {
  const source = join(import.meta.dirname, 'uml-xstate-shim.c');
  const digest = createHash('sha256').update(readFileSync(source)).update(kernel).digest('hex').slice(0, 12);
  const directory = join(tmpdir(), `vmferry-test-uml-${process.getuid?.() ?? 0}-${digest}`);
  const script = join(directory, 'linux.uml');
  if (existsSync(script)) return script;

  const building = `${directory}.${process.pid}`;
  mkdirSync(building, { mode: 0o700 });
  const library = join(building, 'xstate-shim.so');
  const { status, stderr } = spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, source], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`cc failed: ${stderr}`);
  const lines = [
    '#!/bin/bash',
    `export LD_PRELOAD=${join(directory, 'xstate-shim.so')}`,
    `exec -a "$0" ${kernel} "$@"`,
  ];
  writeFileSync(join(building, 'linux.uml'), `${lines.join('\n')}\n`, { mode: 0o755 });
  try {
    renameSync(building, directory);
  } catch (error) {
    // Another test process was first.
    if (!existsSync(script)) throw error;
    rmSync(building, { recursive: true });
  }
  return script;
}
