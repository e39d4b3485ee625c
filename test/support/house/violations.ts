import { importedFile, type Import } from './imports.ts';
import { homes, importersOf, narrowRooms, purePlaces, ranks } from './rooms.ts';

/** What is wrong with an import, as a sentence; null when the house allows it. */
export function violation(one: Import): string | null {
  const target = importedFile(one);
  const reason = target === null ? wrongPackage(one) : wrongFile(one.file, target);
  return reason === null ? null : `${one.file} imports ${one.imported}: ${reason}`;
}

function wrongFile(file: string, target: string): string | null {
  if (file.startsWith('bin/'))
    return target === 'dist/cli/main.js' ? null : 'bin imports the built main only';
  if (target === 'src/index.ts') return 'nothing imports the index';
  if (target === 'src/wiring.ts')
    return ['src/cli/main.ts', 'src/index.ts'].includes(file)
      ? null
      : 'only main and index import the wiring';
  const from = roomOf(file);
  const to = roomOf(target);
  if (to === null || from === to) return null;
  if (from === null) return wrongFromGround(file, to);
  if (rankOf(to) <= rankOf(from)) return `${to} does not lie below ${from}`;
  if (narrowRooms[from]?.includes(to) === false)
    return `${from} imports ${narrowRooms[from].join(', ') || 'nothing'}`;
  if (importersOf[to]?.includes(from) === false) return `only ${importersOf[to].join(', ')} may import ${to}`;
  return null;
}

function wrongFromGround(file: string, to: string): string | null {
  if (['src/wiring.ts', 'src/index.ts'].includes(file))
    return to === 'cli' ? 'nothing imports the cli' : null;
  return 'the ground imports no room';
}

function wrongPackage({ file, imported }: Import): string | null {
  if (file.startsWith('bin/')) return 'bin imports the built main only';
  const name = packageOf(imported);
  const place = file.slice('src/'.length);
  const home = homes[name];
  if (home?.every((directory) => !place.startsWith(`${directory}/`)) === true)
    return `its home is ${home.join(', ')}`;
  if (!imported.startsWith('node:')) return null;
  for (const [pure, allowed] of Object.entries(purePlaces))
    if (place.startsWith(pure) && !allowed.includes(name)) return `${pure} is pure`;
  return null;
}

/** `node:fs/promises` is of `fs`, `yargs/helpers` of `yargs`, `@scope/name/part` of `@scope/name`. */
function packageOf(imported: string): string {
  const parts = imported.replace(/^node:/, '').split('/');
  return parts.slice(0, imported.startsWith('@') ? 2 : 1).join('/');
}

/** Null for the files of src itself. */
export function roomOf(file: string): string | null {
  const [, room = '', ...rest] = file.split('/');
  return rest.length === 0 ? null : room;
}

export function rankOf(room: string): number {
  const rank = ranks.findIndex((rooms) => rooms.includes(room));
  if (rank < 0) throw new Error(`test/support/house/rooms.ts gives no rank to ${room}`);
  return rank;
}
