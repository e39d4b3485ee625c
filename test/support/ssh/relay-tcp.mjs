/**
 * `node relay-tcp.mjs HOST PORT`, for a ProxyCommand: standard input and output are the connection, and it ends when
 * that breaks. busybox's nc goes on for ever when its connection is reset.
 */
import { connect } from 'node:net';
import process from 'node:process';

const [host, port] = process.argv.slice(2);
const socket = connect({ host, port: Number(port), noDelay: true });
socket.on('error', () => process.exit(1));
process.stdin.pipe(socket).pipe(process.stdout);
