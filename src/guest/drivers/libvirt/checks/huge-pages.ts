import type { HugePages } from '../../../guest-driver.ts';
import { amountBytes } from '../domain/quantities.ts';
import { parseXml } from '../xml/document.ts';
import { all, attributeOf, find } from '../xml/elements.ts';

/**
 * `<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>`, the page with or without a size. Null for ordinary memory. With a `nodeset`, a page is
 * for some of the guest's nodes only.
 */
export function hugePagesOfDomain(text: string): HugePages | null {
  if (!text.includes('<hugepages')) return null;
  const { root } = parseXml(text, 'the domain');
  const hugePages = find(root, 'memoryBacking', 'hugepages');
  if (hugePages === undefined) return null;
  const [page, ...more] = all(hugePages, 'page');
  if (more.length > 0 || attributeOf(page, 'nodeset') !== undefined) return { pageBytes: 'mixed' };
  return { pageBytes: amountBytes(attributeOf(page, 'size'), attributeOf(page, 'unit')) };
}
