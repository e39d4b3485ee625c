import { isAlias, isMap, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { combineFailures, Failure } from '../failure.ts';
import { largestConfigBytes, type ConfigFile } from './config.ts';
import { configSchema, knownKeys } from './config-schema.ts';
import { closest } from './suggestion.ts';

/**
 * Parses a configuration file. Throws Failure `usage` with all errors, each with line and column. `file` is its name for
 * messages.
 */
export function parseConfig(text: string, file: string): ConfigFile {
  const lines = new LineCounter();
  const complain = (offset: number, problem: string, advice?: string) => {
    const { line, col } = lines.linePos(offset);
    return new Failure('usage', `${file}, line ${line}, column ${col}: ${problem}`, {
      advice: advice ?? 'doc/schedule.md describes this file.',
    });
  };
  const document = parseYaml(text, file, lines, complain);
  if (document.contents === null) return {};
  const { success, data, error } = configSchema.safeParse(document.toJS());
  if (success) return data;
  throw combined(error.issues.flatMap((issue) => explain(issue, document, complain)));
}

type Complain = (offset: number, problem: string, advice?: string) => Failure;

/** Parses YAML 1.2 with unique keys, without tags and aliases. Aliases could make a small file huge. */
function parseYaml(text: string, file: string, lineCounter: LineCounter, complain: Complain): Document {
  if (text.length > largestConfigBytes)
    throw new Failure('usage', `${file} is larger than ${largestConfigBytes / 1024} KiB.`, {
      advice: 'A configuration has a few lines: check that this is the right file.',
    });
  if (isTooDeep(text)) throw new Failure('usage', `${file} is nested too deeply.`);
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    schema: 'core',
    version: '1.2',
    resolveKnownTags: false,
  });
  // Later errors may be consequences of the first.
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const said = problem.message.trim().replace(/[.:]?$/, '.');
    throw complain(problem.pos[0], `This is not valid YAML: ${said}`);
  }
  visit(document, {
    Alias(_, alias) {
      throw complain(offsetOf(alias), 'Aliases (*) are not supported.', 'Write the value out.');
    },
    Pair(_, { key }) {
      // A JavaScript object would not keep it as a key.
      if (isScalar(key) && key.value === '__proto__')
        throw complain(offsetOf(key), 'The key "__proto__" is not known here.');
    },
  });
  return document;
}

/** The parser is recursive, and a stack overflow in it cannot always be caught. */
function isTooDeep(text: string): boolean {
  const brackets = text.match(/[[{]/g) ?? [];
  return (
    brackets.length > 500 || text.split('\n').some((line) => (line.match(/[-?:](?=\s)/g) ?? []).length > 50)
  );
}

function combined(failures: readonly Failure[]): Failure {
  const [first, ...others] = failures;
  if (first === undefined) throw new Error('there is nothing wrong');
  return combineFailures([first, ...others]);
}

function explain(issue: z.core.$ZodIssue, document: Document, complain: Complain): Failure[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownKey(key, path, document, complain));
  if (issue.code === 'invalid_key') {
    const [{ message } = issue] = issue.issues;
    return [complain(keyOffset(document, path), `${JSON.stringify(path.at(-1))} ${message}.`)];
  }
  const missing = document.hasIn(path) ? null : path.at(-1);
  if (missing !== null)
    return [
      complain(
        nodeOffset(document, path.slice(0, -1)),
        `${JSON.stringify(missing)} is missing here; it ${issue.message}.`,
      ),
    ];
  const what = path.length === 0 ? 'The file' : path.join('.');
  return [complain(nodeOffset(document, path), `${what} ${issue.message}.`)];
}

function unknownKey(
  key: string,
  path: readonly PropertyKey[],
  document: Document,
  complain: Complain,
): Failure {
  const known = knownKeys(path);
  const meant = closest(key, known);
  const problem = `The key ${JSON.stringify(key)} is not known here.`;
  return complain(
    keyOffset(document, [...path, key]),
    meant === null ? problem : `${problem} Did you mean ${meant}?`,
    `Known here: ${known.join(', ')}. See doc/schedule.md.`,
  );
}

function nodeOffset(document: Document, path: readonly PropertyKey[]): number {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  // An empty value has no position of its own.
  return isNode(node) && !(isScalar(node) && node.source === '') ? offsetOf(node) : keyOffset(document, path);
}

function keyOffset(document: Document, path: readonly PropertyKey[]): number {
  const parent = path.length <= 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const pair = isMap(parent)
    ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)))
    : undefined;
  return isNode(pair?.key) ? offsetOf(pair.key) : 0;
}

function isNode(value: unknown): value is Node {
  return (
    isMap(value) ||
    isScalar(value) ||
    isAlias(value) ||
    (typeof value === 'object' && value !== null && 'range' in value)
  );
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}
