import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { circles } from '../support/house/circles.ts';
import { importedFile, importsIn, readImports, sourceFiles } from '../support/house/imports.ts';
import { ranks } from '../support/house/rooms.ts';
import { violation } from '../support/house/violations.ts';

const refused: readonly [file: string, imported: string][] = [
  // the direction
  ['bin/vmferry.js', '../dist/index.js'],
  ['src/cli/commands/migrate.ts', '../../store/sftp/sftp-store.ts'],
  ['src/cli/program.ts', '../guest/guest-driver.ts'],
  ['src/cli/program.ts', '../system/processes.ts'],
  ['src/cli/program.ts', '../wiring.ts'],
  ['src/operations/migrate/migrate.ts', '../../cli/terminal/format.ts'],
  ['src/operations/migrate/migrate.ts', '../../wiring.ts'],
  ['src/guest/drivers/uml/driver.ts', '../../../operations/migrate/migrate.ts'],
  ['src/guest/resolve-guest.ts', '../store/store.ts'],
  ['src/image/formats/raw/raw-image.ts', '../../../cli/terminal/format.ts'],
  ['src/image/probe.ts', '../guest/definition.ts'],
  ['src/workers/frame-worker.ts', '../store/store.ts'],
  ['src/pack/pack.ts', '../operations/migrate/migrate.ts'],
  ['src/pack/pack.ts', '../workers/frame-pool.ts'],
  ['src/codec/zstd.ts', '../operations/migrate/migrate.ts'],
  ['src/pipeline/map-ordered.ts', '../chunk/chunk-id.ts'],
  ['src/pipeline/map-ordered.ts', '../system/native.ts'],
  ['src/store/sftp/sftp-store.ts', '../../chunk/chunk-id.ts'],
  ['src/store/sftp/sftp-store.ts', '../../guest/definition.ts'],
  ['src/store/sftp/sftp-store.ts', '../../extent/extents.ts'],
  ['src/store/sftp/write-window.ts', '../../operations/migrate/migrate.ts'],
  ['src/ssh/login.ts', '../store/store.ts'],
  ['src/transfer/capture.ts', '../wire/messages.ts'],
  ['src/transfer/capture.ts', '../repository/guest-folder.ts'],
  ['src/transfer/capture.ts', '../store/store.ts'],
  ['src/hold/hold-still.ts', '../transfer/capture.ts'],
  ['src/system/native.ts', '../extent/extents.ts'],
  ['src/system/native.ts', '../index.ts'],
  ['src/schedule/systemd-units.ts', '../operations/schedule/keep-arguments.ts'],
  ['src/schedule/systemd-units.ts', '../config/config.ts'],
  ['src/config/config.ts', '../operations/schedule/keep-arguments.ts'],
  ['src/config/load-config.ts', '../system/error-code.ts'],
  ['src/cli/commands/schedule.ts', '../../schedule/systemd-units.ts'],
  ['src/store/sftp/sftp-store.ts', '../../config/config.ts'],
  ['src/repository/guest-folder.ts', '../operations/migrate/migrate.ts'],
  ['src/pack/pack.ts', '../repository/files/layout.ts'],
  ['src/store/sftp/sftp-store.ts', '../../repository/files/layout.ts'],
  ['src/cli/commands/backup.ts', '../../repository/files/layout.ts'],
  ['src/failure.ts', './chunk/chunk-id.ts'],
  ['src/events.ts', './operations/migrate/migration-report.ts'],
  ['src/wiring.ts', './cli/program.ts'],
  ['src/index.ts', './cli/program.ts'],
  // the homes
  ['src/operations/migrate/migrate.ts', 'yargs'],
  ['src/operations/migrate/migrate.ts', 'yargs/helpers'],
  ['src/operations/migrate/migrate.ts', 'cli-progress'],
  ['src/operations/receive/receive.ts', 'ssh2'],
  ['src/system/native.ts', 'ssh2-sftp-client'],
  ['src/workers/frame-pool.ts', 'tar-stream'],
  ['src/workers/frame-worker.ts', 'node:zlib'],
  ['src/workers/frame-worker.ts', 'zlib'],
  ['src/pack/pack.ts', '@toondepauw/node-zstd'],
  ['src/image/formats/raw/raw-image.ts', 'koffi'],
  ['src/guest/drivers/uml/driver.ts', 'node:child_process'],
  ['src/store/sftp/session.ts', 'child_process'],
  ['src/cli/commands/guests.ts', 'node:child_process'],
  ['src/codec/zstd.ts', 'node:worker_threads'],
  ['src/wiring.ts', 'ssh2'],
  ['src/operations/schedule/schedule.ts', 'yaml'],
  ['src/cli/program.ts', 'yaml'],
  // what is pure
  ['src/schedule/systemd-units.ts', 'node:path'],
  ['src/chunk/chunk-map.ts', 'node:fs'],
  ['src/extent/extents.ts', 'node:fs/promises'],
  ['src/cli/terminal/format.ts', 'node:os'],
  ['src/cli/reporters/progress-rate.ts', 'node:timers/promises'],
  ['src/cli/options/destination.ts', 'node:net'],
];

const letThrough: readonly [file: string, imported: string][] = [
  ['bin/vmferry.js', '../dist/cli/main.js'],
  ['src/cli/main.ts', '../wiring.ts'],
  ['src/index.ts', './wiring.ts'],
  ['src/cli/commands/migrate.ts', '../../operations/migrate/migrate.ts'],
  ['src/cli/commands/migrate.ts', '../options/options.ts'],
  ['src/cli/program.ts', 'yargs'],
  ['src/operations/migrate/migrate.ts', '../../store/store.ts'],
  ['src/operations/migrate/migrate.ts', '../../failure.ts'],
  ['src/workers/frame-worker.ts', '../codec/zstd.ts'],
  ['src/workers/frame-worker.ts', 'node:worker_threads'],
  ['src/codec/zstd.ts', 'node:zlib'],
  ['src/store/sftp/sftp-store.ts', 'ssh2'],
  ['src/pack/pack.ts', 'tar-stream'],
  ['src/system/native.ts', 'koffi'],
  ['src/chunk/chunk-id.ts', 'node:crypto'],
  ['src/wiring.ts', './store/sftp/sftp-store.ts'],
  ['src/config/config.ts', 'yaml'],
  ['src/cli/commands/schedule.ts', '../../config/config.ts'],
  ['src/operations/schedule/schedule.ts', '../../schedule/systemd-units.ts'],
];

const projectDirectory = join(import.meta.dirname, '..', '..');
const files = sourceFiles(projectDirectory, 'src');
const imports = readImports(projectDirectory, files);
const MOST_FILES = 20;

describe('the house refuses', () => {
  test.each(refused)('%s importing %s', (file, imported) => {
    expect(violation({ file, imported })).toContain(imported);
  });
});

describe('the house allows', () => {
  test.each(letThrough)('%s importing %s', (file, imported) => {
    expect(violation({ file, imported })).toBeNull();
  });
});

test('an import is found however it is written', () => {
  const text = `import { a } from './a.ts';
import type {
  B,
} from './b.ts';
export * from './c.ts';
export type { D } from './d.ts';
import './e.ts';
const f = await import('./f.ts');
type G = import('./g.ts').G;
`;
  const found = importsIn('src/x.ts', text).map(({ imported }) => imported);
  expect(found).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => `./${name}.ts`));
});

test('src keeps to the house', () => {
  expect(imports.length).toBeGreaterThan(files.length);
  expect(imports.map(violation).filter((one) => one !== null)).toEqual([]);
});

test('every room has a rank', () => {
  const rooms = readdirSync(join(projectDirectory, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(ranks.flat().toSorted()).toEqual(rooms.toSorted());
});

/** Who imports whom, each path replaced by what `nodeOf` makes of it. Imports of types count. */
function importGraph(nodeOf: (file: string) => string): Map<string, Set<string>> {
  const edges = new Map<string, Set<string>>();
  for (const one of imports) {
    const target = importedFile(one);
    if (target === null) continue;
    const [from, to] = [nodeOf(one.file), nodeOf(target)];
    const targets = edges.get(from) ?? new Set();
    edges.set(from, targets);
    if (from !== to) targets.add(to);
  }
  return edges;
}

test('circles are found', () => {
  const edges = Object.entries({ a: ['b'], b: ['c', 'd'], c: ['a'], d: ['e'], e: [], f: ['g'], g: ['f'] });
  expect(circles(new Map(edges.map(([from, to]) => [from, new Set(to)])))).toEqual([
    ['a', 'b', 'c'],
    ['f', 'g'],
  ]);
});

test('no files import each other in a circle', () => {
  expect(circles(importGraph((file) => file))).toEqual([]);
});

test('no folders import each other in a circle', () => {
  // Files of src itself: those of the ground import no folder, wiring and index are imported by none.
  const folder = (file: string) => (dirname(file) === 'src' ? file : dirname(file));
  expect(circles(importGraph(folder))).toEqual([]);
});

test('no folder has more than 20 files', () => {
  const counts = new Map<string, number>();
  for (const root of ['bin', 'doc', 'src', 'test'])
    for (const entry of readdirSync(join(projectDirectory, root), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) counts.set(entry.parentPath, (counts.get(entry.parentPath) ?? 0) + 1);
  expect([...counts].filter(([, count]) => count > MOST_FILES)).toEqual([]);
});

test('only these files ask for the time of day: durations are measured by the clock that does not jump', () => {
  const asking = files.filter((file) =>
    readFileSync(join(projectDirectory, file), 'utf8').includes('Date.now('),
  );
  expect(asking.toSorted()).toEqual([
    'src/guest/drivers/uml/freeze.ts', // compares with the times of files
    'src/image/contents/place-edit.ts', // writes the times of files
    'src/operations/migrate/line/over-lost-lines.ts', // notes a time for others to read
    'src/operations/migrate/passes/hold.ts', // waits until a time of day
  ]);
});
