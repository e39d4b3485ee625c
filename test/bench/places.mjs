import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** The directory for everything that the bench makes. Packages and work images stay for the next run. */
export const cacheDirectory = join(process.env.XDG_CACHE_HOME ?? tmpdir(), 'vmferry-bench');

export const vmferryProgram = fileURLToPath(new URL('../../bin/vmferry.js', import.meta.url));
