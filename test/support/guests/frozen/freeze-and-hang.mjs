/**
 * Freezes the guest that the argument names, in the environment's UML_DIR. Prints that it did, and does nothing more.
 */
import { register } from 'node:module';
import process from 'node:process';

register('../../../demo/typescript-hook.mjs', import.meta.url);
const { createUmlDriver } = await import('../../../../src/guest/drivers/uml/driver.ts');
const context = { signal: new AbortController().signal, report: () => {} };
const driver = createUmlDriver(process.env);
const guest = (await driver.list(context)).find(({ definition }) => definition.name === process.argv[2]);
const frozen = await driver.freeze(guest, { syncTimeoutMs: 20_000 }, context);
process.stdout.write('frozen\n');
// With "leave" the program ends by itself, without letting the guest go on.
if (process.argv[3] === 'leave') process.exitCode = frozen.stoppedAt.getTime() > 0 ? 7 : 8;
else setInterval(() => {}, 1_000_000);
