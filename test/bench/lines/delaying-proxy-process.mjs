/** The delaying proxy as a process of its own; its argument is what it is told, and it prints the port that it listens on. */
import process from 'node:process';
import { startDelayingProxy } from './delaying-proxy.mjs';

const { port } = await startDelayingProxy(JSON.parse(process.argv[2]));
console.log(port);
