import type { HugePages } from '../../../guest-driver.ts';
import { amountBytes } from '../domain/quantities.ts';
import { parseXml } from '../xml/document.ts';
import { attributeOf, find } from '../xml/elements.ts';

/** `<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>`, the page with or without a size. Null for ordinary memory. */
export function hugePagesOfDomain(text: string): HugePages | null {
  if (!text.includes('<hugepages')) return null;
  const { root } = parseXml(text, 'the domain');
  const hugePages = find(root, 'memoryBacking', 'hugepages');
  if (hugePages === undefined) return null;
  const page = find(hugePages, 'page');
  return { pageBytes: amountBytes(attributeOf(page, 'size'), attributeOf(page, 'unit')) };
}
