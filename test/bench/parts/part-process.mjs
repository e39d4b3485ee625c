/** A share of a part of a move, in a process of its own: it prints the CPU seconds that it took. */
import process from 'node:process';
import { doPart } from './parts.mjs';

const { name, work, share } = JSON.parse(process.argv[2]);
console.log(await doPart(name, work, share));
