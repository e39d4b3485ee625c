import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { succeed } from '../../rigs/base/command.ts';

const project = join(import.meta.dirname, '../../..');
/** What the suite imports; what these need comes with them. */
const packages = ['expect', 'koffi', 'zod'];

/** Writes the suite as JavaScript into a new directory, with the packages that it needs. Returns the suite's path in there. */
export async function writeSuiteTree(directory: string): Promise<string> {
  const suite = 'test/contract/in-dom0/xen-suite';
  mkdirSync(directory);
  const settings = {
    extends: join(project, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      rootDir: project,
      outDir: directory,
      typeRoots: [join(project, 'node_modules/@types')],
    },
    include: [],
    files: [join(project, `${suite}.ts`)],
  };
  const settingsFile = join(directory, 'tsconfig.json');
  writeFileSync(settingsFile, JSON.stringify(settings));
  await succeed(join(project, 'node_modules/.bin/tsc'), ['-p', settingsFile]);
  const copied = new Set<string>();
  for (const name of packages) copyPackage(name, project, directory, copied);
  const globals = join(directory, 'node_modules/@jest/globals');
  mkdirSync(globals, { recursive: true });
  writeFileSync(join(globals, 'package.json'), JSON.stringify({ type: 'module', exports: './index.js' }));
  writeFileSync(
    join(globals, 'index.js'),
    "export * from '../../../test/contract/in-dom0/jest-globals.js';\n",
  );
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
  return `${suite}.js`;
}

interface Manifest {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** Copies a package to the same place, and those that it depends on. An optional one may be missing. */
function copyPackage(name: string, from: string, directory: string, copied: Set<string>): void {
  const source = findPackage(name, from);
  if (source === null || copied.has(source)) return;
  copied.add(source);
  cpSync(source, join(directory, relative(project, source)), {
    recursive: true,
    filter: (path) => !/\.(?:map|d\.[cm]?ts)$/.test(path) && path !== join(source, 'node_modules'),
  });
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest;
  for (const needed of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }))
    copyPackage(needed, source, directory, copied);
}

function findPackage(name: string, from: string): string | null {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (directory === project) return null;
  }
}
