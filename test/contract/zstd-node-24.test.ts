import { describeUnderNode } from './newer-node-contract.ts';

/** The long-term release line after it. */
describeUnderNode('24.21.0');
