import { Failure } from '../../../failure.ts';
import type { DefinitionLanguage, DefinitionPlace, ReadDefinition } from '../../definition-language.ts';
import type { GuestDefinition } from '../../definition.ts';
import { configFailure } from './config/config-problem.ts';
import { readXenConfig } from './config/read.ts';
import { xenConfigOf } from './config/rewrite.ts';
import { inexpressible } from './config/write.ts';

/** A file for `xl create`, or for the older `xm create` as far as xl takes it. */
export const xenLanguage: DefinitionLanguage = {
  kind: 'xen',
  recognizes: isXenConfig,
  read: readXenText,
  write: writeXenText,
};

/** Keys that nearly every such file has, with a value as only such a file has it: quoted, a list, or a number. */
const settingLine =
  /(?:^|;)[ \t]*(name|memory|kernel|ramdisk|disk|vif|root|extra|cmdline|bootloader|builder|type|vcpus)[ \t]*\+?=[ \t]*(?:["'[(]|\d+[ \t\r]*(?=[;#]|$))/gm;
const OTHERS = /\bubd(?:\d+|[a-z])[rscdt]*=|qemu-system-|^\s*[<{]/;
const MOST_CHARACTERS = 262_144;

function isXenConfig(text: string): boolean {
  if (text.length > MOST_CHARACTERS || OTHERS.test(text)) return false;
  const keys = new Set([...text.matchAll(settingLine)].map(([, key]) => key));
  return keys.has('disk') || keys.has('kernel') || keys.has('bootloader') ? keys.size >= 2 : keys.size >= 3;
}

function readXenText(text: string, { name }: DefinitionPlace): ReadDefinition {
  const { definition, problems } = readXenConfig(text);
  if (definition === null) throw configFailure(name, problems);
  return { definition, problems: problems.map((problem) => configFailure(name, [problem])) };
}

function writeXenText(definition: GuestDefinition): string {
  const [first, ...others] = inexpressible(definition);
  if (first !== undefined) throw new Failure('guest-unsupported', [first, ...others].join(' '));
  const text = xenConfigOf(definition);
  return text.endsWith('\n') ? text : `${text}\n`;
}
