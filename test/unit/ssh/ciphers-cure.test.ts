import { describe, expect, test } from '@jest/globals';
import { explainSlowCiphers, type CipherBuild } from '../../../src/ssh/ciphers-cure.ts';

const neverBuilt: CipherBuild = {
  left: 'nothing',
  loadError: null,
  missing: [],
  headersDownloaded: true,
  headersBesideNode: null,
  project: '/usr/lib/node_modules/vmferry',
  nodeVersion: '20.19.0',
};
const explain = (build: Partial<CipherBuild>): string => explainSlowCiphers({ ...neverBuilt, ...build });
const rebuild =
  'npm --prefix /usr/lib/node_modules/vmferry rebuild ssh2 --foreground-scripts --ignore-scripts=false';

describe('the warning about slow ciphers', () => {
  test('an install script that did not run: says how to run it', () => {
    expect(explain({})).toBe(
      "The connection is slower than it could be: ssh2's compiled ciphers were not built: npm did not run ssh2's install script. " +
        `To build them, or to see what fails, run \`${rebuild}\`.`,
    );
  });

  test.each([
    { left: 'nothing', missing: ['python3'], named: 'python3', install: 'Install python3; to build' },
    { left: 'begun', missing: ['g++'], named: 'g++', install: 'Install g++; to build' },
    {
      left: 'nothing',
      missing: ['g++', 'make', 'python3'],
      named: 'g++, make, python3',
      install: 'Install g++, make and python3; to build',
    },
  ] as const)('missing tools are named: $named', ({ left, missing, named, install }) => {
    const text = explain({ left, missing });
    expect(text).toContain(`were not built, because these tools are not on the PATH: ${named}.`);
    expect(text).toContain(install);
    expect(text).not.toContain('npm did not run');
  });

  test('a build that failed although all tools are there: says how to see the error', () => {
    expect(explain({ left: 'begun' })).toBe(
      "The connection is slower than it could be: the build of ssh2's compiled ciphers failed. " +
        `To build them, or to see what fails, run \`${rebuild}\`.`,
    );
  });

  test('missing headers: says where to get them without a network', () => {
    const text = explain({ headersDownloaded: false });
    expect(text).toContain(
      "npm did not run ssh2's install script, or could not download Node's headers for it.",
    );
    expect(text).toContain('unpack node-v20.19.0-headers.tar.gz');
    expect(text).toContain('npm_config_nodedir=DIRECTORY');
  });

  test('headers beside Node: uses them, so that nothing is downloaded', () => {
    const text = explain({ headersDownloaded: false, headersBesideNode: '/opt/node 20' });
    expect(text).toContain(`run \`npm_config_nodedir='/opt/node 20' ${rebuild}\`.`);
    expect(text).not.toContain('Without a network');
  });

  test.each([
    "The module '/x/sshcrypto.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 108.",
    "Module did not self-register: '/x/sshcrypto.node'.",
    '/x/sshcrypto.node: undefined symbol: _ZN2v816FunctionTemplate9SetLengthEi',
  ])('ciphers of another Node are to be built again: %j', (loadError) => {
    const text = explain({ left: 'addon', loadError });
    expect(text).toContain('were built for another version of Node than this one (20.19.0).');
    expect(text).toContain(rebuild);
  });

  test('ciphers that cannot be loaded for another reason: gives the reason', () => {
    const text = explain({ left: 'addon', loadError: '/x/sshcrypto.node: invalid ELF header' });
    expect(text).toContain(
      "ssh2's compiled ciphers could not be loaded: /x/sshcrypto.node: invalid ELF header.",
    );
  });
});
