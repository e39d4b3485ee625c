/* Whether other accounts could have written or replaced a file, judged by its owner and its mode. */

interface Rights {
  uid: number;
  mode: number;
}

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

export function isOwn({ uid }: Pick<Rights, 'uid'>): boolean {
  return uid === process.geteuid?.();
}

export function isOwnOrRoots({ uid }: Pick<Rights, 'uid'>): boolean {
  return uid === 0 || isOwn({ uid });
}

/** Whether its group or everybody may write to it. */
export function isWritableByOthers({ mode }: Pick<Rights, 'mode'>): boolean {
  return (mode & WRITABLE_BY_OTHERS) !== 0;
}

/** Whether others may replace files in the directory. With the sticky bit (as of /tmp) only owners can rename or remove. */
export function canOthersReplaceIn({ mode }: Pick<Rights, 'mode'>): boolean {
  return isWritableByOthers({ mode }) && (mode & STICKY) === 0;
}
