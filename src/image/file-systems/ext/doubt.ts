/** Why the free blocks of a file system must not be left out, as a clause about it. Never leaves the ext parser. */
export class Doubt extends Error {}
