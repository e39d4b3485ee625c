import { hash } from 'node:crypto';

/*
 * JSON that detects its own damage, without a name or a seal: its last member, `digest`, is the SHA-256 of
 * the text without that member. Every changed bit is detected (doc/store.md, Snapshot).
 */

/** The text of an object that has no member `digest`. */
export function digestedText(content: object): string {
  const digest = `sha256:${hash('sha256', plainText(content), 'hex')}`;
  return plainText({ ...content, digest });
}

/** More levels than vmferry ever writes. Writing JSON of tens of thousands of levels would overflow the stack. */
const MOST_LEVELS = 32;

/** Whether the text is exactly what `digestedText` made. */
export function isDigestedText(text: string): boolean {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null || !('digest' in json) || !isShallow(json)) return false;
  const { digest: _digest, ...content } = json;
  return digestedText(content) === text;
}

function isShallow(json: object): boolean {
  let level: unknown[] = [json];
  for (let levels = 0; level.length > 0; levels++) {
    if (levels > MOST_LEVELS) return false;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  return true;
}

function plainText(content: object): string {
  return `${JSON.stringify(content, null, 1)}\n`;
}
