import process from 'node:process';
import { writeLastWill, type LastWill } from '../../../../system/last-will.ts';

/**
 * A program for Node that lets a guest go on: first its processors, then its file systems. Its arguments are the socket of
 * QMP, and that of the agent (or nothing). All is tried, and nothing of it is reported: nobody listens. A socket that stays
 * open, because nothing answers, is closed after 3 s.
 */
const goOn = `
const net = require('net');
const tell = (path, lines) => new Promise((done) => {
  if (!path) return done();
  const socket = net.connect(path, () => lines.forEach((line) => socket.write(line)));
  socket.on('error', done).on('close', done).on('data', () => {});
  setTimeout(() => socket.destroy(), 3000);
});
const [qmp, agent] = process.argv.slice(1);
tell(qmp, ['{"execute":"qmp_capabilities"}\\n', '{"execute":"cont"}\\n'])
  .then(() => tell(agent, [Buffer.from([255]), '{"execute":"guest-fsfreeze-thaw"}\\n']));
`;

/** When this process dies, the guest goes on. */
export function writeGuestWill(
  qmpSocket: string,
  agentSocket: string | null,
  env: NodeJS.ProcessEnv,
): Promise<LastWill> {
  return writeLastWill(
    'exec "$1" -e "$2" -- "$3" "$4"',
    [process.execPath, goOn, qmpSocket, agentSocket ?? ''],
    env,
  );
}
