import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One file's import of another, or of a package. Paths from the project's directory: `src/cli/main.ts`. */
export interface Import {
  file: string;
  /** As it is written there. */
  imported: string;
}

/** `import … from`, `export … from`, bare imports, `import()` also in types; not what a comment talks of. */
const importing = /^(?:import|export)\b[^;'`]*?from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm;

export function importsIn(file: string, text: string): Import[] {
  return [...text.matchAll(importing)].map(([, from, bare, dynamic]) => ({
    file,
    imported: from ?? bare ?? dynamic ?? '',
  }));
}

/** All TypeScript files below the directory, from the project's directory on. */
export function sourceFiles(projectDirectory: string, directory: string): string[] {
  return readdirSync(join(projectDirectory, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(directory, name));
}

export function readImports(projectDirectory: string, files: readonly string[]): Import[] {
  return files.flatMap((file) => importsIn(file, readFileSync(join(projectDirectory, file), 'utf8')));
}

/** The path of the imported file from the project's directory; null for a package. */
export function importedFile({ file, imported }: Import): string | null {
  return imported.startsWith('.') ? join(dirname(file), imported) : null;
}
