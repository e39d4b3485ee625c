/** Freezes the domain that the argument names, in the libvirt of the environment. Prints that it did, and does nothing more. */
import { register } from 'node:module';
import process from 'node:process';

register('../../../demo/typescript-hook.mjs', import.meta.url);
const { createLibvirtDriver } = await import('../../../../src/guest/drivers/libvirt/driver.ts');
const context = { signal: new AbortController().signal, report: () => {} };
const driver = createLibvirtDriver(process.env);
const guest = (await driver.list(context)).find(({ definition }) => definition.name === process.argv[2]);
await driver.freeze(guest, { syncTimeoutMs: 1_000 }, context);
process.stdout.write('frozen\n');
setInterval(() => {}, 1_000_000);
