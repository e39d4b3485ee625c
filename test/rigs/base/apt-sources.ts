import { succeed } from './command.ts';

/** Where this machine's apt gets a release of Debian from, if it does; else Debian's own mirror. Lines of sources.list(5). */
export async function aptSources(release: string): Promise<string[]> {
  const format = ['indextargets', '--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages'];
  const lines = (await succeed('apt-get', format).catch(() => '')).split('\n').map((line) => line.split(' '));
  const mirrorOf = (name: string) => lines.find(([, suite]) => suite === name)?.[0];
  const main = mirrorOf(release) ?? 'http://deb.debian.org/debian';
  const security = mirrorOf(`${release}-security`) ?? 'http://deb.debian.org/debian-security';
  return [
    `deb ${main} ${release} main`,
    `deb ${main} ${release}-updates main`,
    `deb ${security} ${release}-security main`,
  ];
}
