import { DOMParser, onErrorStopParsing, XMLSerializer, type Document, type Element } from '@xmldom/xmldom';
import { Failure } from '../../../../failure.ts';

/** `native.text` of a definition holds no more characters (guest/definition.ts). */
export const MOST_XML_CHARACTERS = 262_144;
/** Characters outside XML 1.0. */
const notXml = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
/** libvirt nests about ten elements. */
const DEEPEST = 64;

export interface XmlDocument {
  document: Document;
  root: Element;
}

/**
 * Parses XML. Order, comments, namespaces and CDATA sections are kept. Entities of XML itself alone are known. Throws Failure
 * `guest-unsupported` for anything else: a document type, a text that is too long or not well-formed.
 * @param name how messages name the text
 */
export function parseXml(text: string, name: string): XmlDocument {
  if (text.length > MOST_XML_CHARACTERS)
    throw notRead(name, `it is longer than ${MOST_XML_CHARACTERS} characters`);
  if (notXml.test(text)) throw notRead(name, 'it has a character that XML cannot hold');
  // A document type could define entities. The parser knows none, and libvirt writes no document type.
  if (/<!DOCTYPE/i.test(text)) throw notRead(name, 'it has a document type (<!DOCTYPE …>)');
  let document: Document;
  try {
    document = new DOMParser({ onError: onErrorStopParsing }).parseFromString(text, 'text/xml');
  } catch (error) {
    throw notRead(name, reasonOf(error), error);
  }
  const root = document.documentElement;
  if (root === null) throw notRead(name, 'it has no element');
  if (isTooDeep(root)) throw notRead(name, `its elements are nested more than ${DEEPEST} deep`);
  return { document, root };
}

/** Ends with a newline. Throws Failure `guest-unsupported` for a character that XML cannot hold. */
export function formatXml({ document }: Pick<XmlDocument, 'document'>): string {
  const text = new XMLSerializer().serializeToString(document);
  if (notXml.test(text))
    throw new Failure('guest-unsupported', 'The definition has a character that XML cannot hold.', {
      advice: 'Remove it from the paths and the command line of the guest.',
    });
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** Not recursive: a hostile text would exhaust the stack. */
function isTooDeep(root: Element): boolean {
  let level: readonly Element[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= DEEPEST) return true;
    level = level.flatMap((element) =>
      [...element.childNodes].filter((node) => node.nodeType === 1),
    ) as Element[];
  }
  return false;
}

/** The parser's own words, on one line: they name the line and what is wrong. */
function reasonOf(error: unknown): string {
  const { message = '', locator } = error as { message?: string; locator?: { lineNumber?: number } };
  const inner = /"([^]*)" caused onErrorStopParsing/.exec(message)?.[1] ?? message;
  const plain = inner
    .replaceAll(/[^\x20-\x7E]+/g, ' ')
    .slice(0, 200)
    .trim();
  const line = locator?.lineNumber;
  return line === undefined ? plain : `line ${line}: ${plain}`;
}

function notRead(name: string, reason: string, cause?: unknown): Failure {
  return new Failure('guest-unsupported', `${name} cannot be read as XML: ${reason}.`, {
    advice: 'Give the definition as `virsh dumpxml --inactive GUEST` prints it.',
    cause,
  });
}
