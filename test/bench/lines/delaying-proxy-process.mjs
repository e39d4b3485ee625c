/** The delaying proxy as a process of its own. Its argument is its options; it prints its port. */
import process from 'node:process';
import { startDelayingProxy } from './delaying-proxy.mjs';

const { port } = await startDelayingProxy(JSON.parse(process.argv[2]));
console.log(port);
