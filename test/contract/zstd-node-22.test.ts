import { describeUnderNode } from './newer-node-contract.ts';

/** The first release line whose node:zlib has zstd. */
describeUnderNode('22.23.3');
