/**
 * `npm run demo`: moves a real guest to a second sshd on this machine and shows that it is the same guest
 * (demonstration.ts). Works as the first command in a fresh clone: it uses only Node itself until the rest is
 * installed.
 */
import { register } from 'node:module';
import process from 'node:process';
import { prepare, runVisibly } from '../setup/prepare.mjs';

try {
  prepare();
  if (!runVisibly('npm', ['run', '--silent', 'build'])) throw new Error('vmferry could not be built.');
  register('./typescript-hook.mjs', import.meta.url);
  const { demonstrate } = await import('./demonstration.ts');
  process.exitCode = await demonstrate();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
