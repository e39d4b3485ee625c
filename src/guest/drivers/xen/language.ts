import type { DefinitionLanguage, DefinitionPlace, ReadDefinition } from '../../definition-language.ts';
import { configFailure } from './config/config-problem.ts';
import { readXenConfig } from './config/read.ts';
import { isXenConfig } from './config/recognize.ts';
import { writeXenText } from './config/whole-text.ts';

/** A file for `xl create`, or for the older `xm create` as far as xl takes it. */
export const xenLanguage: DefinitionLanguage = {
  kind: 'xen',
  recognizes: isXenConfig,
  read: readXenText,
  write: writeXenText,
};

function readXenText(text: string, { name }: DefinitionPlace): ReadDefinition {
  const { definition, problems } = readXenConfig(text);
  if (definition === null) throw configFailure(name, problems);
  return { definition, problems: problems.map((problem) => configFailure(name, [problem])) };
}
