import { diskFate, type DiskChanges } from './disk-names.ts';

export interface EditedText {
  text: string;
  /** Each change, as a sentence for people. */
  changes: readonly string[];
  /** What the guest's owner has to know: a sentence each. */
  warnings: readonly string[];
}

const unchanged = { changes: [], warnings: [] };

/**
 * Changes the names of disks in an fstab(5), and makes a comment of swap on a disk that is not there: systemd would wait 90 s
 * for it. All else stays as it is, byte for byte: LABEL= and UUID=, comments, blanks, ends of lines.
 */
export function editFstab(text: string, disks: DiskChanges): EditedText {
  const changes: string[] = [];
  const warnings: string[] = [];
  const lines = text.split(/(?<=\n)/).map((line) => {
    const edited = editLine(line, disks);
    changes.push(...edited.changes);
    warnings.push(...edited.warnings);
    return edited.text;
  });
  return { text: lines.join(''), changes, warnings };
}

function editLine(line: string, disks: DiskChanges): EditedText {
  const entry = parseFstabLine(line);
  if (entry?.device === undefined) return { text: line, ...unchanged };
  const { device, directory, type, options, before } = entry;
  const fate = diskFate(device, disks);
  if (fate.kind === 'renamed')
    return {
      text: `${before}/dev/${fate.name}${line.slice(before.length + '/dev/'.length + device.length)}`,
      changes: [`/etc/fstab: /dev/${device} is /dev/${fate.name} now.`],
      warnings: [],
    };
  if (fate.kind === 'same') return { text: line, ...unchanged };
  if (type === 'swap')
    return {
      text: `# vmferry: ${line}`,
      changes: [`/etc/fstab: swap on /dev/${device} is switched off, because the disk is not there.`],
      warnings: [],
    };
  if (options.includes('noauto')) return { text: line, ...unchanged };
  const warning = `/etc/fstab mounts /dev/${device} on ${directory}, and that disk is not there: the guest may stop while it boots.`;
  return { text: line, changes: [], warnings: [warning] };
}

export interface FstabLine {
  /** All before the first field. */
  before: string;
  /** The disk's name without `/dev/`; undefined for anything else: a label, a UUID, `proc`. */
  device?: string;
  directory: string;
  type: string;
  options: readonly string[];
}

/** The fields of a line of fstab(5); null for a comment, and for a line that is not an entry. */
export function parseFstabLine(line: string): FstabLine | null {
  const parts = /^([ \t]*)([^\s#]\S*)[ \t]+(\S+)[ \t]+(\S+)(?:[ \t]+(\S+))?/.exec(line);
  const [, before = '', source = '', directory = '', type = '', options = ''] = parts ?? [];
  if (parts === null) return null;
  const device = source.startsWith('/dev/') ? { device: source.slice('/dev/'.length) } : {};
  return { before, ...device, directory, type, options: options.split(',') };
}
