import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { combineFailures, Failure } from '../../failure.ts';
import type { DefinitionLanguage, HypervisorKind } from '../../guest/definition-language.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { errorCode } from '../../system/error-code.ts';

/** A definition in one file is a few kilobytes long. */
const MOST_BYTES = 262_144;

/**
 * Reads the definition of a guest from a file for xl, an XML file of libvirt, or a file with a command line. Throws Failure
 * `guest-unsupported`, with all that is not understood.
 */
export async function readDefinitionFile(
  path: string,
  from: HypervisorKind | null,
  languages: readonly DefinitionLanguage[],
): Promise<GuestDefinition> {
  const text = await readText(path);
  if (text === null)
    throw new Failure('guest-unsupported', `${path} is no text that could describe a guest.`, {
      advice:
        'Name a file for xl, the XML of a libvirt domain, or a file with the command line of QEMU or User Mode Linux.',
    });
  const name = basename(path);
  const language = languages.find((one) => (from === null ? one.recognizes(text, name) : one.kind === from));
  if (language === undefined)
    throw new Failure('guest-unsupported', `${path} is in no language that vmferry recognises.`, {
      advice: `Say which one it is: ${languages.map(({ kind }) => `--from ${kind}`).join(', ')}.`,
    });
  const { definition, problems } = language.read(text, { name, directory: dirname(await realpath(path)) });
  const [first, ...others] = problems;
  if (first !== undefined) throw combineFailures([first, ...others]);
  return definition;
}

/** Null for anything but a text file of a plausible size: a disk image, a directory. */
async function readText(path: string): Promise<string | null> {
  try {
    // A pipe without a writer would be waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await file.stat();
    if (!(await file.stat()).isFile() || size > MOST_BYTES) return null;
    const text = (await file.readFile()).toString('utf8');
    return text.includes('\0') ? null : text;
  } catch (error) {
    if (errorCode(error) === 'EISDIR') return null;
    throw new Failure(
      'guest-not-found',
      `The file ${path} cannot be read (${errorCode(error) ?? 'unknown error'}).`,
      {
        cause: error,
      },
    );
  }
}
