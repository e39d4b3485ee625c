import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseGuestDefinition, type GuestDefinition } from '../../../../../src/guest/definition.ts';
import { qemuLanguage } from '../../../../../src/guest/drivers/qemu/language.ts';
import { umlLanguage } from '../../../../../src/guest/drivers/uml/language.ts';

/* fixtures/definitions/qemu/NAME.sh is a command line; NAME.json is what it says. */
const directory = join(import.meta.dirname, '../../../../../fixtures/definitions/qemu');
const names = readdirSync(directory).flatMap((file) => /^(.*)\.sh$/.exec(file)?.[1] ?? []);

const place = (name: string) => ({ name: `${name}.sh`, directory: '/srv/guests' });
const withoutNative = ({ native: _native, ...rest }: GuestDefinition) => rest;

describe('a command line of QEMU', () => {
  test.each(names)('%s is understood', (name) => {
    const text = readFileSync(join(directory, `${name}.sh`), 'utf8');
    expect(qemuLanguage.recognizes(text, `${name}.sh`)).toBe(true);
    expect(umlLanguage.recognizes(text, `${name}.sh`)).toBe(false);
    const { definition, problems } = qemuLanguage.read(text, place(name));
    expect(parseGuestDefinition(JSON.parse(JSON.stringify(definition)))).toEqual(definition);
    expect({
      definition: withoutNative(definition),
      beyond: definition.native?.beyond,
      problems: problems.map(({ message }) => message),
    }).toEqual(JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8')));
    // What stands in the way also keeps it from being written.
    if (problems.length > 0) return;
    const again = qemuLanguage.read(qemuLanguage.write(definition), { name: 'again.sh', directory: '/' });
    expect(withoutNative(again.definition)).toEqual(withoutNative(definition));
    expect(again.problems).toEqual([]);
  });
});
