import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

/**
 * Proves that the lint holds the house together (doc/architecture.md): each line below is one file with one import, written into
 * an empty tree with the project's own lint settings, and either refused or let through.
 */
const refused: readonly [file: string, imported: string][] = [
  // the direction
  ['bin/vmferry.js', '../dist/index.js'],
  ['src/cli/commands/migrate.ts', '../../store/sftp-store.ts'],
  ['src/cli/program.ts', '../guest/guest-driver.ts'],
  ['src/cli/program.ts', '../system/processes.ts'],
  ['src/cli/program.ts', '../wiring.ts'],
  ['src/operations/migrate.ts', '../cli/format.ts'],
  ['src/operations/migrate.ts', '../wiring.ts'],
  ['src/guest/uml-driver.ts', '../operations/migrate.ts'],
  ['src/image/raw-image.ts', '../cli/format.ts'],
  ['src/frame/frame-worker.ts', '../store/store.ts'],
  ['src/archive/pack.ts', '../operations/migrate.ts'],
  ['src/codec/zstd.ts', '../operations/migrate.ts'],
  ['src/pipeline/map-ordered.ts', '../chunk/chunk-id.ts'],
  ['src/pipeline/map-ordered.ts', '../system/native.ts'],
  ['src/store/sftp-store.ts', '../chunk/chunk-id.ts'],
  ['src/store/sftp-store.ts', '../guest/definition.ts'],
  ['src/store/sftp-store.ts', '../image/extents.ts'],
  ['src/store/sftp/write-window.ts', '../../operations/migrate.ts'],
  ['src/system/native.ts', '../image/extents.ts'],
  ['src/system/native.ts', '../index.ts'],
  ['src/schedule/systemd-units.ts', '../operations/keep-rules.ts'],
  ['src/schedule/systemd-units.ts', '../config/config.ts'],
  ['src/config/config.ts', '../operations/keep-rules.ts'],
  ['src/config/load-config.ts', '../system/error-code.ts'],
  ['src/cli/commands/schedule.ts', '../../schedule/systemd-units.ts'],
  ['src/store/sftp-store.ts', '../config/config.ts'],
  ['src/repository/guest-folder.ts', '../operations/migrate.ts'],
  ['src/repository/guest-folder.ts', '../image/extents.ts'],
  ['src/archive/pack.ts', '../repository/layout.ts'],
  ['src/store/sftp-store.ts', '../repository/layout.ts'],
  ['src/cli/commands/backup.ts', '../../repository/layout.ts'],
  ['src/failure.ts', './chunk/chunk-id.ts'],
  ['src/events.ts', './operations/migration-report.ts'],
  ['src/wiring.ts', './cli/program.ts'],
  ['src/index.ts', './cli/program.ts'],
  // the homes
  ['src/operations/migrate.ts', 'yargs'],
  ['src/operations/migrate.ts', 'yargs/helpers'],
  ['src/operations/migrate.ts', 'cli-progress'],
  ['src/operations/receive.ts', 'ssh2'],
  ['src/system/ssh.ts', 'ssh2-sftp-client'],
  ['src/frame/frame.ts', 'tar-stream'],
  ['src/frame/frame-worker.ts', 'node:zlib'],
  ['src/frame/frame-worker.ts', 'zlib'],
  ['src/archive/pack.ts', '@toondepauw/node-zstd'],
  ['src/image/raw-image.ts', 'koffi'],
  ['src/guest/uml-driver.ts', 'node:child_process'],
  ['src/store/ssh-config.ts', 'child_process'],
  ['src/cli/commands/guests.ts', 'node:child_process'],
  ['src/codec/zstd.ts', 'node:worker_threads'],
  ['src/wiring.ts', 'ssh2'],
  ['src/operations/schedule.ts', 'yaml'],
  ['src/cli/program.ts', 'yaml'],
  // what is pure
  ['src/schedule/systemd-units.ts', 'node:path'],
  ['src/chunk/chunk-map.ts', 'node:fs'],
  ['src/image/extents.ts', 'node:fs/promises'],
  ['src/cli/format.ts', 'node:os'],
  ['src/cli/progress-rate.ts', 'node:timers/promises'],
  ['src/cli/destination.ts', 'node:net'],
];

const letThrough: readonly [file: string, imported: string][] = [
  ['bin/vmferry.js', '../dist/cli/main.js'],
  ['src/cli/main.ts', '../wiring.ts'],
  ['src/index.ts', './wiring.ts'],
  ['src/cli/commands/migrate.ts', '../../operations/migrate.ts'],
  ['src/cli/commands/migrate.ts', '../options.ts'],
  ['src/cli/program.ts', 'yargs'],
  ['src/operations/migrate.ts', '../store/store.ts'],
  ['src/operations/migrate.ts', '../failure.ts'],
  ['src/frame/frame-worker.ts', '../codec/zstd.ts'],
  ['src/frame/frame-worker.ts', 'node:worker_threads'],
  ['src/codec/zstd.ts', 'node:zlib'],
  ['src/store/sftp-store.ts', 'ssh2'],
  ['src/archive/pack.ts', 'tar-stream'],
  ['src/system/native.ts', 'koffi'],
  ['src/chunk/chunk-id.ts', 'node:crypto'],
  ['src/wiring.ts', './store/sftp-store.ts'],
  ['src/config/config.ts', 'yaml'],
  ['src/cli/commands/schedule.ts', '../../config/config.ts'],
  ['src/operations/schedule.ts', '../schedule/systemd-units.ts'],
];

const projectDirectory = join(import.meta.dirname, '..', '..');
let tree: string;
let problemsByFile: Map<string, string[]>;

/** One file for each case, so that one run of the linter answers all of them. */
function place(verdict: string, number: number, file: string): string {
  return join(`${verdict}-${number}`, file);
}

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'vmferry-architecture-'));
  const settings = readFileSync(join(projectDirectory, '.oxlintrc.json'), 'utf8');
  for (const [verdict, cases] of Object.entries({ refused, letThrough }))
    for (const [number, [file, imported]] of cases.entries()) {
      const path = join(tree, place(verdict, number, file));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `import * as imported from '${imported}';\nexport const used = imported;\n`);
      writeFileSync(join(tree, `${verdict}-${number}`, '.oxlintrc.json'), settings);
    }
  problemsByFile = lint();
});

afterAll(() => {
  rmSync(tree, { recursive: true, force: true });
});

function lint(): Map<string, string[]> {
  const oxlint = join(projectDirectory, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const { stdout } = spawnSync(process.execPath, [oxlint, '--format=json'], { cwd: tree, encoding: 'utf8' });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
  const problems = new Map<string, string[]>();
  for (const { filename, code } of diagnostics)
    problems.set(filename, [...(problems.get(filename) ?? []), code]);
  return problems;
}

const layerRule = /no-restricted-imports|no-nodejs-modules/;

describe('the lint refuses', () => {
  test.each(refused.map((one, number) => [...one, number] as const))('%s importing %s', (file, _, number) => {
    expect(problemsByFile.get(place('refused', number, file))).toContainEqual(
      expect.stringMatching(layerRule),
    );
  });
});

describe('the lint lets through', () => {
  test.each(letThrough.map((one, number) => [...one, number] as const))(
    '%s importing %s',
    (file, _, number) => {
      expect(problemsByFile.get(place('letThrough', number, file)) ?? []).toEqual([]);
    },
  );
});

test('every directory of src is a layer that the lint knows', () => {
  const settings = readFileSync(join(projectDirectory, '.oxlintrc.json'), 'utf8');
  const { overrides } = JSON.parse(settings) as {
    overrides: { files: string[]; rules: Record<string, unknown> }[];
  };
  const known = overrides
    .filter(({ rules }) => 'no-restricted-imports' in rules)
    .flatMap(({ files }) => files);
  const directories = readdirSync(join(projectDirectory, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `src/${name}/**`);
  expect(known).toEqual(expect.arrayContaining(directories));
});
