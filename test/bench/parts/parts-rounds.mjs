/** The measuring part of `npm run bench -- --parts`, started by bench.mjs in namespaces of its own; see rounds.mjs. */
import { spawn } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { findLines } from '../lines/lines.mjs';
import { makeEmpty, measuredCommand, measuredRun, openWorkplace } from '../measured-run.mjs';
import { openLine } from '../lines/open-line.mjs';
import { partsSummary, partsTable } from './parts-summary.mjs';
import { cacheDirectory } from '../places.mjs';
import { run } from '../peers/programs.mjs';
import { finish, runLine } from '../results.mjs';
import { runSession } from '../session.mjs';
import { workImage } from '../images/work-image.mjs';

const partProgram = fileURLToPath(new URL('part-process.mjs', import.meta.url));
/** As many processes at once as vmferry has workers, because two threads that share a core get less. */
const shares = Math.min(availableParallelism(), 4);
const MIGRATE =
  '$VMFERRY migrate $IMAGE --to $NEW:$DIR --ssh-config $SSH_CONFIG --remote-command "$VMFERRY" --json --compression';

async function main({ recipe, lines, level, rounds }) {
  const { first: image } = workImage(recipe);
  const workDirectory = join(cacheDirectory, 'run');
  // also after a signal
  process.on('exit', () => rmSync(workDirectory, { recursive: true, force: true }));
  const [line] = findLines(lines);
  const opened = await openLine(line);
  const place = openWorkplace(workDirectory, image, opened);
  const nothing = emptyImage(join(workDirectory, 'nothing.img'), statSync(image).size);
  const elsewhere = { ...place, image: nothing, out: join(place.target, basename(nothing)) };
  const migrate = { name: 'vmferry', command: `${MIGRATE} ${level}` };
  const runs = [];
  for (let round = 1; round <= rounds; round++) {
    const whole = await measuredRun(migrate, place);
    console.log(runLine({ peer: 'vmferry', round, ...whole }));
    const sentBytes = sentBytesOf(readFileSync(place.log, 'utf8'));
    const ofNothing = await measuredRun(migrate, elsewhere);
    console.log(`round ${round}  an empty image: ${ofNothing.cpuSeconds.toFixed(1)} s CPU`);
    const partSeconds = await measureParts({ image, level, target: place.out }, sentBytes, place);
    console.log(
      `round ${round}  the parts: ${Object.values(partSeconds)
        .reduce((a, b) => a + b)
        .toFixed(1)} s CPU`,
    );
    runs.push({ round, sentBytes, whole, ofNothing, partSeconds });
  }
  await opened.close();
  const summary = partsSummary(runs);
  finish({ line: line.name, recipe, level, shares, summary, runs }, partsTable(summary, level));
}

function emptyImage(path, sizeBytes) {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  return path;
}

/** The CPU seconds of each part, one after the other. */
async function measureParts(work, sentBytes, place) {
  const partSeconds = {};
  for (const name of ['read', 'hash', 'compress', 'unpack']) partSeconds[name] = await partAlone(name, work);
  partSeconds.ssh = await sshAlone(sentBytes, place);
  makeEmpty(dirname(work.target));
  emptyImage(work.target, statSync(work.image).size);
  for (const name of ['write', 'readBack']) partSeconds[name] = await partAlone(name, work);
  return partSeconds;
}

async function partAlone(name, work) {
  run('sync', []);
  const taken = await Promise.all(
    Array.from({ length: shares }, async (_, share) => {
      const request = JSON.stringify({ name, work, share: { share, shares } });
      const child = spawn(process.execPath, [partProgram, request], { stdio: ['ignore', 'pipe', 'inherit'] });
      return Number(await text(child.stdout));
    }),
  );
  const seconds = taken.reduce((sum, each) => sum + each, 0);
  if (!(seconds > 0)) throw new Error(`The part ${name} could not be measured; the lines above say why.`);
  return seconds;
}

/** Sends this many bytes through the same sshd in the cheapest way: `cat` to a file, like packs to the spool. */
async function sshAlone(sentBytes, place) {
  makeEmpty(place.target);
  const sent = join(place.scratch, 'sent');
  run('sh', ['-c', `head -c ${sentBytes} '${place.image}' > '${sent}'`]);
  run('sync', []);
  const variables = { SENT: sent, OUT: place.out };
  const { cpuSeconds } = await measuredCommand('ssh', '$SSH "cat > $OUT" < $SENT', variables, place);
  return cpuSeconds;
}

/** The disks in the final record of `migrate --json`. */
function sentBytesOf(log) {
  const report = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .find(({ type }) => type === 'moved');
  return report.disks.reduce((sum, disk) => sum + disk.sentBytes, 0);
}

await runSession(main);
