import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { findTool, toolsMissing } from '../programs/tools.ts';

/** UML kernels from this version on save a processor's extended state of any size. */
const firstWithAnyXstate = [6, 13] as const;

/** The choice in VMFERRY_TEST_KERNEL: the installed kernel itself, or the same kernel behind a script and a shim. */
const forced = process.env['VMFERRY_TEST_KERNEL'] ?? '';

/** Why no UML guest can run here; null when one can. */
export function umlMissing(): string | null {
  if (!['', 'plain', 'wrapped'].includes(forced))
    throw new Error(`VMFERRY_TEST_KERNEL is ${forced}; it can be plain or wrapped.`);
  const missing = toolsMissing('linux.uml', 'uml_mconsole', 'mke2fs', 'busybox', 'dumpe2fs');
  if (missing !== null) return missing;
  if (forced === 'plain' && needsShim()) return 'this processor has AMX: the plain kernel does not run on it';
  const compilerMissing = toolsMissing('cc');
  return isWrapped() && compilerMissing !== null
    ? `the kernel is wrapped in a shim; ${compilerMissing}`
    : null;
}

/**
 * The UML kernel for tests: a path that starts a guest. It is the installed kernel. If the processor has AMX and the
 * kernel does not support it, it is a script that loads a small library which mends this (uml-xstate-shim.c). The
 * script passes its own name on, so that the guest's command line names it.
 */
export function umlKernel(): string {
  return isWrapped() ? (wrappedKernel ??= buildKernel([])) : installedKernel();
}

/**
 * The text of a script that starts a guest and passes its own name on, so that the guest's command line names it. A
 * script that only starts another such script does not appear there.
 */
export function umlKernelScript(): string {
  return isWrapped() ? readFileSync(umlKernel(), 'utf8') : scriptText([]);
}

/** A kernel that dies like the installed kernel on a processor with AMX. */
export function kernelWithoutXstate(): string {
  return buildKernel(['-DREFUSE_STATE']);
}

function installedKernel(): string {
  const kernel = findTool('linux.uml');
  if (kernel === null) throw new Error('linux.uml is not installed');
  return kernel;
}

function isWrapped(): boolean {
  return forced === 'wrapped' || (forced === '' && needsShim());
}

function needsShim(): boolean {
  if (!/^flags.*\bamx_tile\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return false;
  const { stdout } = spawnSync(installedKernel(), ['--version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = stdout.split('.').map(Number);
  const [wantedMajor, wantedMinor] = firstWithAnyXstate;
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

let wrappedKernel: string | undefined;

/** A script that starts the installed kernel with the shim loaded before all other libraries. */
function buildKernel(defines: readonly string[]): string {
  const directory = scratchDirectory();
  const library = join(directory, 'xstate-shim.so');
  const source = join(import.meta.dirname, 'uml-xstate-shim.c');
  const { status, stderr } = spawnSync('cc', ['-O2', '-shared', '-fPIC', ...defines, '-o', library, source], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`cc failed: ${stderr}`);
  const script = join(directory, 'linux.uml');
  writeFileSync(script, scriptText([`export LD_PRELOAD=${library}`]), { mode: 0o755 });
  return script;
}

function scriptText(preparations: readonly string[]): string {
  return ['#!/bin/bash', ...preparations, `exec -a "$0" ${installedKernel()} "$@"`, ''].join('\n');
}

/** Jest removes its scratch directory after the last test (test/setup); the demo's is removed when its process ends. */
function scratchDirectory(): string {
  const ofTheRun = process.env['VMFERRY_TEST_SCRATCH'];
  const directory = mkdtempSync(join(ofTheRun ?? tmpdir(), 'vmferry-test-uml-'));
  if (ofTheRun === undefined) process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
