import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { eventually } from '../../support/guests/ferried-guest.ts';
import { startVmferry, type RunningProgram } from '../../support/programs/command-line.ts';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';

const CHUNK = 65_536;

/** Starts a receiver and waits until it is ready. */
function startReceiver(...args: string[]): Promise<RunningProgram & { ready: unknown }> {
  return readyReceiver(startVmferry(['receive', ...args]));
}

function startReceiverIn(stateDir: string): Promise<RunningProgram & { ready: unknown }> {
  return readyReceiver(startVmferry(['receive'], { VMFERRY_STATE_DIR: stateDir }));
}

async function readyReceiver(program: RunningProgram): Promise<RunningProgram & { ready: unknown }> {
  const lines = createInterface(program.child.stdout);
  const [line] = (await once(lines, 'line')) as [string];
  return { ...program, ready: JSON.parse(line) };
}

test('stdout has only messages of the protocol, even with --json', async () => {
  const { child, ended, ready } = await startReceiver('--json');
  expect(ready).toMatchObject({ type: 'ready', protocol: 3 });
  child.stdin.end(`${JSON.stringify({ type: 'abort' })}\n`);
  const { stdout } = await ended;
  for (const line of stdout.trim().split('\n'))
    expect((JSON.parse(line) as { type: string }).type).toMatch(/^(ready|alive|aborted)$/);
});

test.each([
  ['no JSON', 'hello'],
  ['an unknown message', JSON.stringify({ type: 'explode' })],
])('answers `failed` to a message that it does not understand: %s', async (_, line) => {
  const { child, ended } = await startReceiver();
  child.stdin.write(`${line}\n`);
  const { stdout, exitStatus } = await ended;
  expect(exitStatus).toBe(13);
  const last = stdout.trim().split('\n').at(-1) ?? '';
  expect(JSON.parse(last)).toMatchObject({ type: 'failed', code: 'protocol-violation' });
});

test('does not report success if something could not be removed', async () => {
  using scratch = scratchDirectory();
  const { child, ended } = await startReceiver();
  const say = (message: object) => child.stdin.write(`${JSON.stringify(message)}\n`);
  const attributes = { mode: 0o600, uid: 0, gid: 0, modifiedMs: 0 };
  say({
    type: 'open',
    directory: scratch.path,
    name: 'web.img',
    sizeBytes: 65_536,
    chunkBytes: 65_536,
    ...attributes,
  });
  const partial = join(scratch.path, 'web.img.partial');
  for await (const line of createInterface(child.stdout)) {
    if ((JSON.parse(line) as { type: string }).type === 'opened') break;
  }
  rmSync(partial);
  // A directory in place of the partial image cannot be removed like a file.
  mkdirSync(partial);
  say({ type: 'abort' });
  const { stdout } = await ended;
  const last = stdout.trim().split('\n').at(-1) ?? '';
  expect(JSON.parse(last)).toMatchObject({ type: 'failed' });
});

/** Says all of it to a receiver. Returns its answers without those that only tell that it lives. */
async function answersTo(messages: readonly object[], stateDir: string): Promise<Record<string, unknown>[]> {
  const { child, ended } = await startReceiverIn(stateDir);
  for (const message of messages) child.stdin.write(`${JSON.stringify(message)}\n`);
  const { stdout } = await ended;
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ type }) => type !== 'alive');
}

test('reads no file for a mover that it has not received itself', async () => {
  using scratch = scratchDirectory();
  const stateDir = join(scratch.path, 'state');
  const secret = join(scratch.path, 'secret');
  writeFileSync(secret, seededBytes(1, CHUNK));
  const disk = { directory: scratch.path, sizeBytes: CHUNK, chunkBytes: CHUNK };
  const attributes = { mode: 0o600, uid: 0, gid: 0, modifiedMs: 0 };
  const fingerprint = new ChunkMap(chunkGridFor(CHUNK)).fingerprint();
  const published = await answersTo(
    [
      { type: 'open', ...disk, name: 'earlier.img', ...attributes },
      { type: 'finish', fingerprint },
      { type: 'publish', grants: true },
      { type: 'commit' },
    ],
    stateDir,
  );
  const earlier = join(scratch.path, 'earlier.img');
  const granted = published.find(({ type }) => type === 'published');
  expect(granted).toMatchObject({ paths: [earlier], grants: [expect.stringMatching(/^[0-9a-f]{64}$/)] });
  const [grant = ''] = (granted as { grants: string[] }).grants;
  // The same file, changed since.
  writeFileSync(earlier, readFileSync(secret));

  const ids = Buffer.from(chunkId(readFileSync(secret))).toString('base64');
  const take = (from: object) => ({ type: 'take', from, runs: [[0, 0, 1]], ids });
  const answers = await answersTo(
    [
      { type: 'open', ...disk, name: 'web.img', ...attributes },
      take({ path: secret, grant: 'ab'.repeat(32) }),
      take({ path: secret, grant }),
      take({ path: earlier, grant }),
      take({ disk: 7 }),
    ],
    stateDir,
  );
  expect(answers.filter(({ type }) => type === 'taken' || type === 'failed')).toMatchObject([
    { type: 'taken', lacking: [[0, 1]] },
    { type: 'taken', lacking: [[0, 1]] },
    { type: 'taken', lacking: [] },
    { type: 'failed', code: 'protocol-violation' },
  ]);
});

test('its packs are removed when it is killed, and the incomplete image stays', async () => {
  using scratch = scratchDirectory();
  chmodSync(scratch.path, 0o700);
  const { child, ended } = await startReceiver();
  const disk = { directory: scratch.path, name: 'web.img', sizeBytes: CHUNK, chunkBytes: CHUNK };
  const claim = { machine: 'oldhost', guest: 'web' };
  const attributes = { mode: 0o600, uid: 0, gid: 0, modifiedMs: 0 };
  child.stdin.write(`${JSON.stringify({ type: 'open', ...disk, claim, ...attributes })}\n`);
  let spool = '';
  for await (const line of createInterface(child.stdout)) {
    spool = (JSON.parse(line) as { spool?: string }).spool ?? '';
    if (spool !== '') break;
  }
  writeFileSync(join(spool, 'half-a-pack'), 'x');
  child.kill('SIGKILL');
  await ended;
  await eventually('the spool is gone', 10_000, () => !existsSync(spool));
  expect(readdirSync(scratch.path).toSorted()).toEqual(['web.img.partial', 'web.img.partial.vmferry']);
});

test('ends when the connection ends', async () => {
  const { child, ended } = await startReceiver();
  child.stdin.end();
  expect(await ended).toMatchObject({ exitStatus: 12, stderr: expect.stringMatching(/^error: /) });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends it cleanly', async (name) => {
  const { child, ended } = await startReceiver();
  child.kill(name);
  const { exitStatus, stderr } = await ended;
  expect(stderr).toContain('Stopping');
  expect(exitStatus).toBe(130);
});
