import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { eventually } from '../../support/guests/ferried-guest.ts';
import { startVmferry, type RunningProgram } from '../../support/programs/command-line.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';

const CHUNK = 65_536;

/** Starts a receiver and waits until it is ready. */
async function startReceiver(...args: string[]): Promise<RunningProgram & { ready: unknown }> {
  const program = startVmferry(['receive', ...args]);
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

test('reads no file for a mover that it has not received itself', async () => {
  using scratch = scratchDirectory();
  const path = join(scratch.path, 'secret');
  writeFileSync(path, seededBytes(1, CHUNK));
  const { child, ended } = await startReceiver();
  const attributes = { mode: 0o600, uid: 0, gid: 0, modifiedMs: 0 };
  const disk = { directory: scratch.path, name: 'web.img', sizeBytes: CHUNK, chunkBytes: CHUNK };
  const ids = Buffer.from(chunkId(readFileSync(path))).toString('base64');
  const from = { path, grant: 'ab'.repeat(32) };
  for (const message of [
    { type: 'open', ...disk, ...attributes },
    { type: 'take', from, runs: [[0, 0, 1]], ids },
    { type: 'take', from: { disk: 7 }, runs: [[0, 0, 1]], ids },
  ])
    child.stdin.write(`${JSON.stringify(message)}\n`);
  const { stdout } = await ended;
  const messages = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
  expect(messages.filter(({ type }) => type !== 'alive').slice(-2)).toMatchObject([
    { type: 'taken', lacking: [[0, 1]] },
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
