import type { Context } from '../events.ts';
import type { SourceDisk } from './source-disk.ts';

/** Tells what of an image does not come along, or comes along in another form. Says nothing of a raw image. */
export function tellOfContainer(
  { name, source: { container, sizeBytes } }: Pick<SourceDisk, 'name' | 'source'>,
  { report }: Context,
): void {
  if (container === null) return;
  const { snapshots, snapshotCount, backingFiles, statedBytes } = container;
  if (snapshotCount > 0) {
    const names = `${snapshots.join(', ')}${snapshotCount > snapshots.length ? ', …' : ''}`;
    const message = `${name} has internal snapshots, which stay behind: ${names}. The disk is read as it is now.`;
    report({ type: 'warning', code: 'other', message });
  }
  if (backingFiles.length > 0) {
    const paths = backingFiles.map(({ path }) => path).join(', ');
    report({
      type: 'notice',
      message: `${name} is read with its backing files, and is one disk after that: ${paths}`,
    });
  }
  if (statedBytes !== sizeBytes) {
    const message = `The disk of ${name} has ${sizeBytes} bytes: its image states ${statedBytes}, and QEMU rounds that up.`;
    report({ type: 'notice', message });
  }
}
