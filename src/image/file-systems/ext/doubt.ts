/**
 * Why the free blocks of a file system must not be skipped, as the end of a sentence about the file system; never
 * leaves the ext parser.
 */
export class Doubt extends Error {}
