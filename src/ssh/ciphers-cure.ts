import { quoteForShell } from '../quote-for-shell.ts';

/** What there is of ssh2's compiled ciphers, and of what builds them. */
export interface CipherBuild {
  /**
   * `addon`: the ciphers, which this Node cannot load; `begun`: the build's folder, which is made when Python and the
   * headers were found; `nothing`: no build came that far.
   */
  left: 'addon' | 'begun' | 'nothing';
  /** What Node said of the addon. */
  loadError: string | null;
  /** The tools of the build that are not on the PATH, by the names of Debian's packages. */
  missing: readonly string[];
  headersDownloaded: boolean;
  /** The prefix of this Node, where its headers are there. */
  headersBesideNode: string | null;
  project: string;
  nodeVersion: string;
}

/** Node says this of an addon that was compiled for another version; the last two where it lacks that version's names. */
const ofAnotherNode = /NODE_MODULE_VERSION|did not self-register|undefined symbol/;

/** One warning: that the line is slow, why, and what to type. */
export function explainSlowCiphers(build: CipherBuild): string {
  return `The line is slower than it could be: ${cause(build)} ${cure(build)}`;
}

function cause({ left, loadError, missing, headersDownloaded, nodeVersion }: CipherBuild): string {
  if (loadError !== null && ofAnotherNode.test(loadError))
    return `ssh2's compiled ciphers were built for another version of Node than this one (${nodeVersion}).`;
  if (left === 'addon') {
    const said = loadError === null ? '' : `: ${(loadError.split('\n', 1)[0] ?? '').replace(/\.$/, '')}`;
    return `ssh2's compiled ciphers could not be loaded${said}.`;
  }
  if (missing.length > 0)
    return `ssh2's compiled ciphers were not built, and what builds them is not on the PATH: ${missing.join(', ')}.`;
  if (left === 'begun') return "the build of ssh2's compiled ciphers failed.";
  const notRun = "ssh2's compiled ciphers were not built: npm did not run ssh2's install script";
  // A failed download leaves nothing behind, as a script that never ran.
  return headersDownloaded ? `${notRun}.` : `${notRun}, or could not download Node's headers for it.`;
}

function cure({ missing, headersDownloaded, headersBesideNode, project, nodeVersion }: CipherBuild): string {
  const nodedir =
    headersBesideNode === null || headersDownloaded
      ? ''
      : `npm_config_nodedir=${quoteForShell(headersBesideNode)} `;
  // The script ends well when the build fails, and npm then hides what it printed.
  const rebuild = `npm --prefix ${quoteForShell(project)} rebuild ssh2 --foreground-scripts --ignore-scripts=false`;
  const to = missing.length > 0 ? `Install ${list(missing)}; to` : 'To';
  const typed = `${to} build them, and to see what fails, type \`${nodedir}${rebuild}\`.`;
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
