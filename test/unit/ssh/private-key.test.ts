import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { publicKeyInside } from '../../../src/ssh/private-key.ts';
import { makeKey } from '../../support/ssh/ssh-client-files.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

describeWithTools('the public key inside a private one', ['ssh-keygen'], () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-keys-'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test.each([
    ['ed25519', ''],
    ['ed25519', 'secret'],
    ['ecdsa', 'secret'],
    ['rsa', 'secret'],
  ] as const)('is found in a key of type %s with the passphrase %j', async (type, passphrase) => {
    const file = await makeKey(join(directory, `${type}-${passphrase}`), type, passphrase);
    const published = (await readFile(`${file}.pub`, 'utf8')).split(' ')[1];
    expect(publicKeyInside(await readFile(file, 'utf8'))?.toString('base64')).toBe(published);
  });

  test('is not found in a damaged key or any other file', async () => {
    const text = await readFile(await makeKey(join(directory, 'damaged')), 'utf8');
    const lines = text.split('\n');
    expect(publicKeyInside([lines[0], lines[1]?.slice(0, 40), lines.at(-2)].join('\n'))).toBeNull();
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const inner = Buffer.concat([Buffer.from('openssh-key-v1\0'), bytes]).toString('base64');
        publicKeyInside(`-----BEGIN OPENSSH PRIVATE KEY-----\n${inner}\n-----END OPENSSH PRIVATE KEY-----`);
      }),
    );
    expect(publicKeyInside('ssh-ed25519 AAAA')).toBeNull();
  });
});
