import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { lineUse } from './line-use.mjs';
import { run } from '../peers/programs.mjs';

const PORT = 2222;
const NEAR = 'near0';
const FAR = 'far0';
const addresses = { near: '10.231.8.1', far: '10.231.8.2' };
const SAMPLE_EVERY_MS = 20;
/** The unit of CPU times in /proc (USER_HZ). */
const TICKS_PER_SECOND = 100;
const proxyProgram = fileURLToPath(new URL('delaying-proxy-process.mjs', import.meta.url));

/**
 * Makes the line between the two ends, in this process's own network namespace. Without a rate it is the namespace's loopback.
 * With a rate it is a virtual cable to the server's namespace, with the kernel's token bucket filter (tc-tbf(8)) at both
 * ends. A proxy makes the delay (delaying-proxy.mjs).
 *
 * `server` and `client` are the address and port that sshd listens on, and that ssh connects to. `startedBy` is the command that
 * starts a program over there. `watch` begins to count, and returns an object to end it.
 */
export async function openLine(line) {
  run('ip', ['link', 'set', 'lo', 'up']);
  const network = line.rateBits === null ? loopback() : await cable(line);
  const proxy = line.roundTripMs === 0 ? null : await startProxy(line, network.server);
  return {
    ...line,
    server: network.server,
    client: proxy === null ? network.server : { address: '127.0.0.1', port: proxy.port },
    startedBy: network.startedBy,
    watch: () => watch(line, network, proxy),
    close: async () => {
      await proxy?.stop();
      await network.close();
    },
  };
}

/** `end` returns the bytes in both directions, the used share of the line, and the line's own CPU seconds. */
function watch({ rateBits }, { interfaceName, wireBytes }, proxy) {
  const before = wireBytes();
  const cpuBefore = proxy?.cpuSeconds() ?? 0;
  const samples = [];
  const sample = () => samples.push({ atMs: performance.now(), ...interfaceBytes(interfaceName) });
  sample();
  const timer = rateBits === null ? null : setInterval(sample, SAMPLE_EVERY_MS);
  return {
    end() {
      clearInterval(timer);
      sample();
      const after = wireBytes();
      const wire = { sent: after.sent - before.sent, received: after.received - before.received };
      return {
        wireBytes: wire.sent + wire.received,
        lineUse: rateBits === null ? null : lineUse(samples, wire, rateBits),
        lineCpuSeconds: (proxy?.cpuSeconds() ?? 0) - cpuBefore,
      };
    },
  };
}

function loopback() {
  return {
    server: { address: '127.0.0.1', port: PORT },
    startedBy: [],
    interfaceName: 'lo',
    // a loopback receives what it sends
    wireBytes: () => ({ sent: interfaceBytes('lo').sent, received: 0 }),
    close: () => undefined,
  };
}

async function cable({ rateBits }) {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep infinity'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await firstLine(holder);
  const startedBy = ['nsenter', `--net=/proc/${holder.pid}/ns/net`];
  const there = (...command) => run(startedBy[0], [...startedBy.slice(1), ...command]);
  run('ip', ['link', 'add', NEAR, 'type', 'veth', 'peer', 'name', FAR, 'netns', String(holder.pid)]);
  run('ip', ['addr', 'add', `${addresses.near}/24`, 'dev', NEAR]);
  run('ip', ['link', 'set', NEAR, 'up']);
  there('ip', 'addr', 'add', `${addresses.far}/24`, 'dev', FAR);
  there('ip', 'link', 'set', 'lo', 'up');
  there('ip', 'link', 'set', FAR, 'up');
  const bucket = ['root', 'tbf', 'rate', `${rateBits}bit`, 'burst', '128kb', 'latency', '200ms'];
  run('tc', ['qdisc', 'add', 'dev', NEAR, ...bucket]);
  there('tc', 'qdisc', 'add', 'dev', FAR, ...bucket);
  const counted = (output) => JSON.parse(output).find(({ kind }) => kind === 'tbf').bytes;
  const show = ['-s', '-j', 'qdisc', 'show', 'dev'];
  return {
    server: { address: addresses.far, port: PORT },
    startedBy,
    interfaceName: NEAR,
    // an interface counts a large segment once, with one header, before it is cut into packets
    wireBytes: () => ({
      sent: counted(run('tc', [...show, NEAR])),
      received: counted(there('tc', ...show, FAR)),
    }),
    // removing the far end removes the cable
    close: () => ended(holder),
  };
}

async function startProxy({ rateBits, roundTripMs }, { address, port }) {
  const request = {
    listenPort: 0,
    address,
    port,
    oneWayMs: roundTripMs / 2,
    // twice what the line carries in a round trip
    limitBytes: Math.ceil((2 * (rateBits / 8) * roundTripMs) / 1000),
  };
  const child = spawn(process.execPath, [proxyProgram, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return {
    port: Number(await firstLine(child)),
    cpuSeconds: () => cpuSecondsOf(child.pid),
    stop: () => ended(child),
  };
}

function firstLine(child) {
  return new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${child.spawnargs[0]} ended too early.`)));
  });
}

function ended(child) {
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}

/** proc_net_dev: after the name come eight numbers of received data, then those of sent data; bytes are the first. */
function interfaceBytes(name) {
  const text = readFileSync('/proc/self/net/dev', 'utf8');
  const numbers = new RegExp(`^\\s*${name}:\\s*(.*)`, 'm').exec(text)[1].trim().split(/\s+/).map(Number);
  return { received: numbers[0], sent: numbers[8] };
}

/** proc_pid_stat: utime and stime are the 12th and 13th after the name. */
function cpuSecondsOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
