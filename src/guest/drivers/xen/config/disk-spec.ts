/*
 * A disk in a configuration for xl: xl-disk-configuration(5), and the scanner of Xen's libxlutil (4.17), which also takes what xm
 * had: "phy:/dev/vg0/web,xvda,w".
 */

/** One disk as its text says it. */
export interface DiskSpec {
  /** The device or file; empty for a drive without a medium. */
  target: string;
  /** Where the target stands in the text. Null if it is not given. */
  targetAt: { from: number; to: number } | null;
  /** Whether the target is everything after `target=`. If not, commas and equals signs cannot be in it. */
  isTargetRest: boolean;
  format: DiskFormat;
  vdev: string;
  isCdrom: boolean;
  isReadOnly: boolean;
  /** `phy:`, `file:`, `tap:`, … as they stand before the target. */
  prefixes: readonly string[];
  /** What else it says, as it is written: `backendtype=qdisk`, `discard`. */
  others: readonly string[];
}

export type DiskFormat = 'raw' | 'qcow' | 'qcow2' | 'vhd' | 'qed' | 'empty';

/** Why xl refuses the text. */
export class DiskSpecError extends Error {}

const formats: readonly string[] = ['raw', 'qcow', 'qcow2', 'vhd', 'qed', 'empty'];
const plainPrefixes = ['tapdisk:', 'tap:', 'tap2:', 'aio:', 'ioemu:', 'file:', 'phy:'];
const formatPrefixes = ['raw:', 'qcow:', 'qcow2:', 'vhd:'];
/** These name no file: a script in /etc/xen/scripts finds the device. */
const scriptPrefixes = ['iscsi:', 'nbd:', 'enbd:', 'drbd:'];
const words = ['cdrom', 'direct-io-safe', 'discard', 'no-discard', 'colo', 'no-colo', 'trusted', 'untrusted'];
const settings = [
  'format',
  'devtype',
  'access',
  'backend',
  'backendtype',
  'specification',
  'vdev',
  'script',
  'colo-host',
  'colo-port',
  'colo-export',
  'active-disk',
  'hidden-disk',
];

const MOST_CHARACTERS = 8_192;

/** Reads one item of the list `disk`. Throws DiskSpecError for what xl refuses. */
export function parseDiskSpec(text: string): DiskSpec {
  if (text.length > MOST_CHARACTERS) throw new DiskSpecError('it is too long');
  const reader = new DiskReader(text);
  while (reader.step());
  return reader.result();
}

class DiskReader {
  readonly #text: string;
  #at = 0;
  #targetAt: DiskSpec['targetAt'] = null;
  #isTargetRest = false;
  #format: DiskFormat | null = null;
  #vdev: string | null = null;
  #isCdrom = false;
  #isReadOnly = false;
  #accessByPlace = false;
  readonly #prefixes: string[] = [];
  readonly #others: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads one parameter; false at the end. */
  step(): boolean {
    this.#at += /^[ \t\n]*/.exec(this.#text.slice(this.#at))?.[0].length ?? 0;
    if (this.#at >= this.#text.length) return false;
    const rest = this.#text.slice(this.#at);
    if (rest.startsWith('target=')) return this.#takeRest();
    const prefix = /^[a-z][a-z0-9]*:/.exec(rest)?.[0];
    if (prefix !== undefined && this.#takePrefix(prefix, rest)) return true;
    const comma = rest.indexOf(',');
    const parameter = comma < 0 ? rest : rest.slice(0, comma);
    const from = this.#at;
    this.#at += parameter.length + (comma < 0 ? 0 : 1);
    if (words.includes(parameter)) this.#takeWord(parameter);
    else if (parameter.includes('=')) this.#takeSetting(parameter);
    else this.#takePlaced(parameter, from);
    return true;
  }

  #takeRest(): false {
    const from = this.#at + 'target='.length;
    const to =
      this.#text.endsWith(',') && from < this.#text.length ? this.#text.length - 1 : this.#text.length;
    this.#setTarget(from, to);
    this.#isTargetRest = true;
    this.#at = this.#text.length;
    return false;
  }

  /** Whether it is a prefix here. Otherwise it is the beginning of a value with a colon in it, such as `hdc:cdrom`. */
  #takePrefix(prefix: string, rest: string): boolean {
    const isKnown = [...plainPrefixes, ...formatPrefixes].includes(prefix);
    if (scriptPrefixes.includes(prefix)) {
      this.#others.push(prefix);
      this.#prefixes.push(prefix);
    } else if (isKnown) {
      this.#prefixes.push(prefix);
      if (formatPrefixes.includes(prefix)) this.#setFormat(prefix.slice(0, -1));
    } else if (/^[a-z0-9]/.test(rest.slice(prefix.length))) return false;
    else throw new DiskSpecError(`the prefix ${prefix} is unknown`);
    this.#at += prefix.length;
    return true;
  }

  #takeWord(word: string): void {
    if (word === 'cdrom') this.#isCdrom = true;
    else this.#others.push(word);
  }

  #takeSetting(parameter: string): void {
    const sign = parameter.indexOf('=');
    const [key, value] = [parameter.slice(0, sign), parameter.slice(sign + 1)];
    if (key === 'grant_usage' && /^[01]$/.test(value)) this.#others.push(parameter);
    else if (!settings.includes(key)) throw new DiskSpecError(`${parameter} is unknown`);
    else if (key === 'format') this.#setFormat(value);
    else if (key === 'vdev') this.#setVdev(value);
    else if (key === 'access') this.#setAccess(value);
    else if (key === 'devtype') this.#setDevtype(value);
    else if (key === 'backendtype' && !['phy', 'tap', 'qdisk', 'standalone'].includes(value))
      throw new DiskSpecError(`${parameter} is unknown`);
    else this.#others.push(parameter);
  }

  /** By its place: target, format, vdev, access. With a prefix there is no format. */
  #takePlaced(value: string, from: number): void {
    if (this.#targetAt === null) this.#setTarget(from, from + value.length);
    else if (this.#prefixes.length === 0 && this.#format === null) {
      if (this.#target() !== '' || !this.#takeVdevWithType(value)) this.#setFormat(value);
      else this.#format = 'empty';
    } else if (this.#vdev === null) {
      if (!this.#takeVdevWithType(value)) this.#setVdev(value);
    } else if (!this.#accessByPlace) {
      this.#accessByPlace = true;
      this.#setAccess(value);
    } else throw new DiskSpecError(`${value} is one value too many`);
  }

  /** xm's `hdc:cdrom`. */
  #takeVdevWithType(value: string): boolean {
    const colon = value.lastIndexOf(':');
    if (colon < 0) return false;
    this.#setVdev(value.slice(0, colon));
    this.#setDevtype(value.slice(colon + 1));
    return true;
  }

  #target(): string {
    return this.#targetAt === null ? '' : this.#text.slice(this.#targetAt.from, this.#targetAt.to);
  }

  #setTarget(from: number, to: number): void {
    if (this.#target() !== '') throw new DiskSpecError('it has two targets');
    this.#targetAt = { from, to };
  }

  #setFormat(value: string): void {
    const format = value === '' ? 'raw' : value;
    if (!formats.includes(format)) throw new DiskSpecError(`the format ${value} is unknown`);
    if (this.#format !== null && this.#format !== format) throw new DiskSpecError('it has two formats');
    this.#format = format as DiskFormat;
  }

  #setVdev(value: string): void {
    if (this.#vdev !== null && this.#vdev !== '') throw new DiskSpecError('it has two device names');
    this.#vdev = value;
  }

  #setAccess(value: string): void {
    if (!['r', 'ro', 'w', 'rw', ''].includes(value))
      throw new DiskSpecError(`the access ${value} is unknown`);
    this.#isReadOnly = value.startsWith('r') && value !== 'rw';
  }

  #setDevtype(value: string): void {
    if (value !== 'cdrom' && value !== 'disk') throw new DiskSpecError(`the type ${value} is unknown`);
    this.#isCdrom = value === 'cdrom';
  }

  result(): DiskSpec {
    const target = this.#target();
    if (this.#vdev === null || this.#vdev === '') throw new DiskSpecError('it names no device for the guest');
    if (this.#targetAt === null && !this.#isCdrom) throw new DiskSpecError('it has no target');
    return {
      target,
      targetAt: this.#targetAt,
      isTargetRest: this.#isTargetRest,
      format: this.#isCdrom && target === '' ? 'empty' : (this.#format ?? 'raw'),
      vdev: this.#vdev,
      isCdrom: this.#isCdrom,
      isReadOnly: this.#isCdrom || this.#isReadOnly,
      prefixes: this.#prefixes,
      others: this.#others,
    };
  }
}

/** The text of a disk in xl's own form, which takes any target. */
export function formatDiskSpec(spec: Omit<DiskSpec, 'targetAt' | 'isTargetRest' | 'prefixes'>): string {
  return [
    `format=${spec.format}`,
    `vdev=${spec.vdev}`,
    ...(spec.isCdrom ? ['devtype=cdrom'] : [`access=${spec.isReadOnly ? 'ro' : 'rw'}`]),
    ...spec.others,
    ...(spec.target === '' ? [] : [`target=${spec.target}`]),
  ].join(',');
}
