/**
 * A receiver with faults: `meddling-receiver.mjs RULES COMMAND…` starts the real receiver and passes
 * on what it and the mover say, line by line, except where a rule applies. Each rule applies once:
 *
 *   {"on": TYPE, "do": "hold"}         the message is not passed on
 *   {"on": TYPE, "do": "delay"}        the message is passed on 4 s later
 *   {"on": TYPE, "do": "hang-up"}      the line to the mover is closed instead, the receiver sees the end of its input
 *   {"on": TYPE, "do": "kill"}         the receiver is killed instead
 *   {"on": TYPE, "do": "damage-pack"}  one bit of the pack that the message names is flipped first
 *   {"on": TYPE, "do": "claim", "image": PATH, "offset": N}
 *                                      first it is said that the chunks of the image from that byte on are there
 *
 * Each time it leaves a file `meddled-TYPE` in $VMFERRY_STATE_DIR.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';

const DELAY_MS = 4_000;

const [rulesText = '[]', program = '', ...args] = process.argv.slice(2);
const rules = JSON.parse(rulesText);
const receiver = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
let spool = '';
let chunkBytes = 0;

function meddle(line, passOn) {
  const message = JSON.parse(line);
  if (message.type === 'opened') spool = message.spool;
  if (message.type === 'open') chunkBytes = message.chunkBytes;
  const index = rules.findIndex(({ on }) => on === message.type);
  if (index < 0) {
    passOn(`${line}\n`);
    return;
  }
  const [rule] = rules.splice(index, 1);
  writeFileSync(join(process.env.VMFERRY_STATE_DIR, `meddled-${rule.on}`), '');
  switch (rule.do) {
    case 'hold':
      return;
    case 'delay':
      setTimeout(() => passOn(`${line}\n`), DELAY_MS);
      return;
    case 'hang-up':
      receiver.stdin.end();
      receiver.stdout.destroy();
      process.exit(0);
      return;
    case 'kill':
      receiver.kill('SIGKILL');
      return;
    case 'damage-pack':
      flipBit(join(spool, `${message.id}.tar`));
      passOn(`${line}\n`);
      return;
    case 'claim':
      passOn(`${JSON.stringify(claimChunks(rule))}\n${line}\n`);
      return;
    default:
      throw new Error(`no such rule: ${rule.do}`);
  }
}

const CLAIMED = 64;

/** A `has` that is not true. */
function claimChunks({ image, offset }) {
  const first = Math.ceil(offset / chunkBytes);
  const fd = openSync(image, 'r');
  const ids = [];
  for (let position = first; position < first + CLAIMED; position++) {
    const chunk = Buffer.alloc(chunkBytes);
    readSync(fd, chunk, 0, chunkBytes, position * chunkBytes);
    ids.push(createHash('sha256').update(chunk).digest());
  }
  closeSync(fd);
  return { type: 'has', disk: 0, first, ids: Buffer.concat(ids).toString('base64') };
}

/** The middle of the file lies in the compressed bytes of a frame. */
function flipBit(file) {
  const fd = openSync(file, 'r+');
  const middle = Math.floor(fstatSync(fd).size / 2);
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, middle);
  byte[0] ^= 1;
  writeSync(fd, byte, 0, 1, middle);
  closeSync(fd);
}

createInterface(process.stdin)
  .on('line', (line) => meddle(line, (text) => receiver.stdin.write(text)))
  .on('close', () => receiver.stdin.end());
createInterface(receiver.stdout).on('line', (line) => meddle(line, (text) => process.stdout.write(text)));
receiver.stdin.on('error', () => undefined);
process.stdout.on('error', () => undefined);
receiver.on('close', (status, signal) => {
  if (signal === null) process.exitCode = status;
  else process.kill(process.pid, signal);
});
