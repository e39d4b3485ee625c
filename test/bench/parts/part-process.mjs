/** A share of a part of a move, in its own process: prints its CPU seconds. */
import process from 'node:process';
import { doPart } from './parts.mjs';

const { name, work, share } = JSON.parse(process.argv[2]);
console.log(await doPart(name, work, share));
