import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checksumsText } from '../../../src/archive/checksums.ts';
import type { StartAfterImport } from '../../../src/operations/exchange/import-report.ts';
import { thisMachine } from '../../../src/system/machine.ts';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { sha256Of } from '../../support/archives/read-back.ts';
import { member, tarOf } from '../../support/archives/tar-members.ts';
import { codeOf, failureOf } from '../../support/failures.ts';
import { fakeDefinition, fakeDriver, type FakeDriver } from '../../support/guests/fake-driver.ts';
import { seededBytes } from '../../support/images/images.ts';

const bytes = seededBytes(7, 4096);
const start: StartAfterImport = {
  bootTimeoutMs: 1000,
  oldHostIsGone: false,
  ask: null,
  definitionFile: null,
};

let world: ExchangeWorld;
let driver: FakeDriver;
let directory: string;
let here: { host: string; machine: string };

beforeEach(() => {
  world = new ExchangeWorld();
  driver = fakeDriver();
  world.drivers = [driver];
  directory = join(world.path, 'guests');
  mkdirSync(directory);
  const { host, id } = thisMachine();
  here = { host, ...(id !== null && { machine: id }) } as typeof here;
});
afterEach(() => world[Symbol.asyncDispose]());

/** Writes an archive of a guest with these disks, and returns its path. */
function archive(disks: readonly string[], others: object = here): string {
  const definition = fakeDefinition(
    'web',
    disks.map((name) => `/old/place/${name}`),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      format: 'vmferry-archive',
      version: 1,
      createdBy: 'test',
      createdAt: '2026-11-29T12:00:00.000Z',
      guest: 'web',
      consistency: 'halted',
      definition,
      disks: disks.map((name, index) => ({
        name,
        device: `ubd${index}`,
        sizeBytes: bytes.length,
        dataBytes: bytes.length,
      })),
      ...others,
    }),
  );
  const sums = new Map([
    ['manifest.json', sha256Of(manifest)],
    ...disks.map((name) => [name, sha256Of(bytes)] as const),
  ]);
  const path = join(world.path, 'web.tar');
  writeFileSync(
    path,
    tarOf(
      member('manifest.json', manifest),
      ...disks.map((name) => member(name, bytes)),
      member('SHA256SUMS', Buffer.from(checksumsText(sums))),
    ),
  );
  return path;
}

function definitionFile(text: string): string {
  const path = join(world.path, 'debian.sh');
  writeFileSync(path, text);
  return path;
}

test('the guest of an archive runs from its imported disks, and is remembered', async () => {
  const from = archive(['root.img', 'data.img']);
  const report = await world.import({ from, to: directory, start });
  expect(report.started).not.toBeNull();
  expect(driver.history).toEqual(['start web']);
  const paths = [join(directory, 'root.img'), join(directory, 'data.img')];
  expect(driver.running.get('web')?.definition.disks.map(({ path }) => path)).toEqual(paths);
  expect(await world.dependencies().records.read('web')).toMatchObject({
    state: 'running',
    definition: { disks: paths.map((path) => ({ path })) },
  });
});

test('an archive of another machine is refused before anything is written, until that machine is gone', async () => {
  const from = archive(['root.img'], { host: 'burnt' });
  expect(await failureOf(() => world.import({ from, to: directory, start }))).toMatchObject({
    code: 'guest-fenced',
    message: expect.stringContaining('The archive of web was made on burnt'),
    advice: expect.stringContaining('--old-host-is-gone'),
  });
  expect(existsSync(join(directory, 'root.img'))).toBe(false);
  await world.import({ from, to: directory, start: { ...start, oldHostIsGone: true } });
  expect(driver.history).toEqual(['start web']);
});

test('a guest of that name that runs here is left alone', async () => {
  driver = fakeDriver(fakeDefinition('web'));
  world.drivers = [driver];
  const from = archive(['root.img']);
  expect(await codeOf(() => world.import({ from, to: directory, start }))).toBe('guest-already-running');
  expect(existsSync(join(directory, 'root.img'))).toBe(false);
});

test('a damaged archive is not started', async () => {
  const from = archive(['root.img'], { ...here, disks: [] });
  expect(await codeOf(() => world.import({ from, to: directory, start }))).toBe('archive-damaged');
  expect(driver.history).toEqual([]);
});

test('a bare image is started by the command line that is given with it', async () => {
  const from = join(world.path, 'debian-root');
  writeFileSync(from, bytes);
  const to = join(directory, 'debian.img');
  const file = definitionFile('/usr/bin/linux.uml ubd0=debian-root root=/dev/ubda mem=64M umid=debian\n');
  await world.import({ from, to, start: { ...start, definitionFile: file } });
  expect(driver.running.get('debian')?.definition).toMatchObject({
    kernel: '/usr/bin/linux.uml',
    disks: [{ device: 'ubd0', path: to }],
    commandLine: ['root=/dev/ubda'],
  });
});

test('without a description of the guest, with two disks for one image, or with two descriptions, nothing is written', async () => {
  const from = join(world.path, 'debian-root');
  writeFileSync(from, bytes);
  const withFile = (text: string) => ({ ...start, definitionFile: definitionFile(text) });
  const two = withFile('linux.uml ubd0=a ubd1=b umid=debian\n');
  for (const [source, choice, code] of [
    [from, start, 'guest-unsupported'],
    [from, two, 'usage'],
    [archive(['root.img']), two, 'usage'],
  ] as const)
    expect(await codeOf(() => world.import({ from: source, to: directory, start: choice }))).toBe(code);
  expect(existsSync(join(directory, 'debian-root'))).toBe(false);
  expect(existsSync(join(directory, 'root.img'))).toBe(false);
});
