import type { Extent } from '../../../extent/extents.ts';
import { viewOf } from '../bounded-read.ts';
import { checkedUsage } from '../checked-usage.ts';
import { Doubt, orDoubt } from '../doubt.ts';
import type { FileSystem, FileSystemIdentity } from '../file-system.ts';
import { cleanText, formatUuid } from '../identity-text.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * Swap space of Linux. Its header is the first page, and ends with the signature; what follows is worth nothing to a guest that
 * boots, unless it has hibernated. Source: Linux, include/linux/swap.h (union swap_header), mm/swapfile.c (read_swap_header),
 * kernel/power/swap.c; libblkid (util-linux), src/superblocks/swap.c for the marks of other hibernations.
 */

const LARGEST_PAGE_BYTES = 65536;
/** The sizes of a page that Linux has on its architectures. */
const pageSizes = [4096, 8192, 16384, 32768, LARGEST_PAGE_BYTES];
const SIGNATURE_BYTES = 10;
const SWAP = 'SWAPSPACE2';
/** Version 0, which Linux has not read since 2.6: nothing is known of its pages. */
const OLD_SWAP = 'SWAP-SPACE';
const hibernations = [
  'S1SUSPEND',
  'S2SUSPEND',
  'ULSUSPEND',
  'LINHIB0001',
  '\xed\xc3\x02\xe9\x98\x56\xe5\x0c',
];

interface Header {
  pageBytes: number;
  signature: string;
}

export const swap: FileSystem = {
  kinds: ['swap'],
  identify(head) {
    const [header] = findHeaders(head);
    return header === undefined ? null : identityOf(head, header.signature);
  },
  checkUsage: (read, regionBytes) => checkedUsage(() => readHeader(read, regionBytes).pageBytes),
  usedExtents,
  estimateUsedBytes: () => null,
};

function findHeaders(head: Uint8Array): Header[] {
  return pageSizes.flatMap((pageBytes): Header[] => {
    if (head.length < pageBytes) return [];
    const end = String.fromCharCode(...head.subarray(pageBytes - SIGNATURE_BYTES, pageBytes));
    const signature = [SWAP, OLD_SWAP, ...hibernations].find((one) => end.startsWith(one));
    return signature === undefined ? [] : [{ pageBytes, signature }];
  });
}

function identityOf(head: Uint8Array, signature: string): FileSystemIdentity {
  const isHibernation = hibernations.includes(signature);
  return {
    kind: 'swap',
    label: signature === OLD_SWAP ? '' : cleanText(head.subarray(1052, 1068)),
    uuid: signature === OLD_SWAP ? '' : formatUuid(head.subarray(1036, 1052)),
    clean: !isHibernation,
    dirtyReason: isHibernation ? 'the swap space holds the memory of a guest that has hibernated' : null,
  };
}

/** Throws Doubt unless it is swap space as Linux would use it. */
function readHeader(read: ReadAt, regionBytes: number): Header & { endBytes: number } {
  const head = read(0, Math.min(regionBytes, LARGEST_PAGE_BYTES));
  const [header, another] = findHeaders(head);
  if (header === undefined || another !== undefined)
    throw new Doubt('the swap space has signatures for several sizes of a page');
  if (header.signature !== SWAP) throw new Doubt('the swap space is of a kind that vmferry does not know');
  const fields = viewOf(head);
  const endBytes = (fields.getUint32(1028, true) + 1) * header.pageBytes;
  if (fields.getUint32(1024, true) !== 1) throw new Doubt('the version of the swap space is not known');
  // mkswap(8) takes all whole pages. This, too, tells swap space from another content that has the signature by chance.
  if (endBytes > regionBytes || endBytes + LARGEST_PAGE_BYTES <= regionBytes)
    throw new Doubt('the swap space has another size than its partition or disk');
  return { ...header, endBytes };
}

function* usedExtents(read: ReadAt, regionBytes: number): Generator<Extent> {
  const header = orDoubt(() => readHeader(read, regionBytes));
  const headBytes = header?.pageBytes ?? regionBytes;
  yield { offset: 0, length: headBytes };
  const endBytes = header?.endBytes ?? regionBytes;
  if (endBytes < regionBytes) yield { offset: endBytes, length: regionBytes - endBytes };
}
