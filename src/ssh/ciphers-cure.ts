import { quoteForShell } from '../quote-for-shell.ts';

/** The state of ssh2's compiled ciphers, and of the tools that build them. */
export interface CipherBuild {
  /**
   * What a build has left. `addon`: the ciphers, which this Node cannot load. `begun`: the build folder, which is made once
   * Python and the headers were found. `nothing`: no build got that far.
   */
  left: 'addon' | 'begun' | 'nothing';
  /** Node's error when loading the addon. */
  loadError: string | null;
  /** Build tools that are not on the PATH, by the names of their Debian packages. */
  missing: readonly string[];
  headersDownloaded: boolean;
  /** The prefix of this Node if its headers are there; null otherwise. */
  headersBesideNode: string | null;
  project: string;
  nodeVersion: string;
}

/** Node's errors for an addon that was compiled for another version. */
const ofAnotherNode = /NODE_MODULE_VERSION|did not self-register|undefined symbol/;

/** A warning that says why the connection is slow, and which command cures it. */
export function explainSlowCiphers(build: CipherBuild): string {
  return `The connection is slower than it could be: ${cause(build)} ${cure(build)}`;
}

function cause({ left, loadError, missing, headersDownloaded, nodeVersion }: CipherBuild): string {
  if (loadError !== null && ofAnotherNode.test(loadError))
    return `ssh2's compiled ciphers were built for another version of Node than this one (${nodeVersion}).`;
  if (left === 'addon') {
    const said = loadError === null ? '' : `: ${(loadError.split('\n', 1)[0] ?? '').replace(/\.$/, '')}`;
    return `ssh2's compiled ciphers could not be loaded${said}.`;
  }
  if (missing.length > 0)
    return `ssh2's compiled ciphers were not built, because these tools are not on the PATH: ${missing.join(', ')}.`;
  if (left === 'begun') return "the build of ssh2's compiled ciphers failed.";
  const notRun = "ssh2's compiled ciphers were not built: npm did not run ssh2's install script";
  // A failed download leaves nothing behind, like a script that never ran.
  return headersDownloaded ? `${notRun}.` : `${notRun}, or could not download Node's headers for it.`;
}

function cure({ missing, headersDownloaded, headersBesideNode, project, nodeVersion }: CipherBuild): string {
  const nodedir =
    headersBesideNode === null || headersDownloaded
      ? ''
      : `npm_config_nodedir=${quoteForShell(headersBesideNode)} `;
  // The script succeeds even if the build fails, and npm then hides its output.
  const rebuild = `npm --prefix ${quoteForShell(project)} rebuild ssh2 --foreground-scripts --ignore-scripts=false`;
  const to = missing.length > 0 ? `Install ${list(missing)}; to` : 'To';
  const typed = `${to} build them, or to see what fails, run \`${nodedir}${rebuild}\`.`;
  if (headersDownloaded || headersBesideNode !== null) return typed;
  return (
    `${typed} It downloads Node's headers from nodejs.org. Without a network, unpack ` +
    `node-v${nodeVersion}-headers.tar.gz of nodejs.org here (for Debian's own Node: install libnode-dev), and put ` +
    '`npm_config_nodedir=DIRECTORY` before the command: the directory that holds include/node.'
  );
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
