import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Everything the bench makes lies in here; packages and work images stay for the next run. */
export const cacheDirectory = join(process.env.XDG_CACHE_HOME ?? tmpdir(), 'vmferry-bench');
