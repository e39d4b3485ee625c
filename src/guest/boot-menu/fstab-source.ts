/** What /etc/fstab says is mounted there: `UUID=…`, `LABEL=…` or a device (fstab(5)), without quotation marks. Null if it does not say. */
export function sourceInFstab(fstab: string, mountPoint: string): string | null {
  for (const line of fstab.split('\n')) {
    const [, tag = '', quoted, plain, target] =
      /^[ \t]*(?!#)(\w+=)?(?:"([^"]*)"|(\S+))[ \t]+(\S+)[ \t]/.exec(line) ?? [];
    if (target === mountPoint) return `${tag}${quoted ?? plain ?? ''}`;
  }
  return null;
}
