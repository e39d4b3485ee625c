import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  descendantsOf,
  isAlive,
  readInvocation,
  readProcess,
  signalProcess,
} from '../../../src/system/proc-process.ts';
import { holdsUnixSocket, socketInodes } from '../../../src/system/proc-sockets.ts';
import { parseProcessStat } from '../../../src/system/proc-stat.ts';

test('a stat line is read with any name of the program', () => {
  const line = '42 (a) S 1 (b c) R 7 42 41 0 -1 4194304 1 2 3 4 150 50 25 75 20 0 1 0 139377 1 2 3\n';
  expect(parseProcessStat(line)).toEqual({
    pid: 42,
    state: 'R',
    parentPid: 7,
    sessionId: 41,
    cpuSeconds: 2,
    endedChildrenCpuSeconds: 1,
    startTimeTicks: 139_377,
  });
  expect(parseProcessStat('')).toBeNull();
  expect(parseProcessStat('42 (x) S 1')).toBeNull();
});

test('a process is found while it lives, and its pid alone does not identify it', async () => {
  const child = spawn('sh', ['-c', 'sleep 60 & wait', 'an argument'], { cwd: '/', detached: true });
  const pid = child.pid ?? 0;
  await once(child, 'spawn');
  const stat = readProcess(pid);
  if (stat === null) throw new Error('the process is not there');
  expect(stat).toMatchObject({ pid, sessionId: pid, parentPid: process.pid });
  expect(isAlive(stat)).toBe(true);
  expect(isAlive({ pid, startTimeTicks: stat.startTimeTicks + 1 })).toBe(false);
  // The kernel sends no event when a process starts another.
  while (descendantsOf(pid).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(descendantsOf(pid)).toHaveLength(1);
  expect(readInvocation(pid)).toMatchObject({
    argv: ['sh', '-c', 'sleep 60 & wait', 'an argument'],
    workingDirectory: '/',
  });
  signalProcess(-pid, 'SIGKILL');
  await once(child, 'exit');
  expect(isAlive(stat)).toBe(false);
  expect(readProcess(pid)).toBeNull();
  expect(readInvocation(pid)).toBeNull();
  signalProcess(pid, 'SIGKILL');
});

test('the process that holds a Unix socket is found by the path', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-socket-'));
  const path = join(directory, 'a socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  expect(holdsUnixSocket(process.pid, path)).toBe(true);
  expect(holdsUnixSocket(process.pid, `${path}2`)).toBe(false);
  expect(holdsUnixSocket(process.ppid, path)).toBe(false);
  server.close();
  rmSync(directory, { recursive: true });
  expect(
    socketInodes(
      'Num RefCount ...\n00: 00000002 00000000 00000000 0002 01  1057 /run/x\n01: 00000002 0 0 0002 01 9\n',
      '/run/x',
    ),
  ).toEqual(['socket:[1057]']);
});
