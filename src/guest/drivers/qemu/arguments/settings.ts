/* The values of QEMU's options: `key=value,key=value`, or JSON (docs/system/invocation of QEMU; util/keyval.c, util/qemu-option.c). */

/** Keys in dotted form: `file.filename`. JSON is flattened to it. */
export type Settings = ReadonlyMap<string, string>;

interface Piece {
  key: string;
  value: string;
  /** As it was written. */
  raw: string;
}

/** Splits at commas; two commas stand for one. */
function splitPieces(text: string): string[] {
  return text.match(/(?:[^,]|,,)+/g) ?? [];
}

/** @param impliedKey the key of a first piece that has none: `-drive` has no such key, `-machine` has `type` */
function parsePieces(text: string, impliedKey?: string): Piece[] {
  return splitPieces(text).map((raw, index) => {
    const plain = raw.replaceAll(',,', ',');
    const [, key, value] = /^([^=,]+)=(.*)$/s.exec(plain) ?? [];
    if (key !== undefined && value !== undefined) return { key, value, raw };
    if (index === 0 && impliedKey !== undefined) return { key: impliedKey, value: plain, raw };
    // A key alone is switched on; the old form `noserver` switches off.
    const [, off] = /^no(wait|server|delay|telnet|append|readonly)$/.exec(plain) ?? [];
    return off === undefined ? { key: plain, value: 'on', raw } : { key: off, value: 'off', raw };
  });
}

export function isJson(text: string): boolean {
  return text.startsWith('{');
}

/** The last of two equal keys counts. Throws SyntaxError for JSON that cannot be parsed. */
export function parseSettings(text: string, impliedKey?: string): Map<string, string> {
  if (isJson(text)) return flatten(JSON.parse(text) as object);
  return new Map(parsePieces(text, impliedKey).map(({ key, value }) => [key, value]));
}

function flatten(value: object, prefix = '', into = new Map<string, string>()): Map<string, string> {
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    if (typeof inner === 'object' && inner !== null) flatten(inner, `${prefix}${key}.`, into);
    else into.set(prefix + key, inner === true ? 'on' : inner === false ? 'off' : String(inner));
  }
  return into;
}

/** A piece of an option's value, with commas doubled. */
export function formatSetting(key: string, value: string): string {
  return `${key}=${value.replaceAll(',', ',,')}`;
}

export function formatSettings(settings: Iterable<readonly [string, string]>): string {
  return [...settings].map(([key, value]) => formatSetting(key, value)).join(',');
}

/** The same text with another value for the key, which is added if it is missing; null removes it. */
export function withSetting(text: string, key: string, value: string | null, impliedKey?: string): string {
  if (isJson(text)) return JSON.stringify(withJsonSetting(JSON.parse(text) as object, key.split('.'), value));
  const pieces = parsePieces(text, impliedKey);
  const kept = pieces.filter((piece) => piece.key !== key).map(({ raw }) => raw);
  if (value === null) return kept.join(',');
  const at = pieces.findIndex((piece) => piece.key === key);
  if (at < 0) return [...kept, formatSetting(key, value)].join(',');
  const before = pieces.slice(0, at).filter((piece) => piece.key !== key).length;
  // A value without its key stays so, because old versions do not know the key.
  const isImplied = at === 0 && key === impliedKey && !pieces[0]?.raw.startsWith(`${key}=`);
  const written = isImplied ? value.replaceAll(',', ',,') : formatSetting(key, value);
  return [...kept.slice(0, before), written, ...kept.slice(before)].join(',');
}

function withJsonSetting(object: object, path: readonly string[], value: string | null): object {
  const [key = '', ...rest] = path;
  const inner: unknown = (object as Record<string, unknown>)[key];
  // JSON may also have dotted keys as they are.
  const whole = path.join('.');
  if (rest.length === 0 || (inner === undefined && Object.hasOwn(object, whole))) {
    const { [whole]: _, ...others } = object as Record<string, unknown>;
    return value === null ? others : { ...object, [whole]: value };
  }
  const below = typeof inner === 'object' && inner !== null ? inner : {};
  return { ...object, [key]: withJsonSetting(below, rest, value) };
}

export function isOn(value: string | undefined): boolean {
  return value === 'on' || value === 'yes' || value === 'true' || value === 'y';
}

const unitPowers = ['b', 'k', 'm', 'g', 't', 'p', 'e'];

/** A size as QEMU reads it (qemu_strtosz in util/cutils.c), in bytes; null for any other text. */
export function parseSize(text: string, defaultUnit: 'b' | 'm'): number | null {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([bkmgtpe])?$/i.exec(text) ?? [];
  if (digits === undefined) return null;
  const bytes = Number(digits) * 1024 ** unitPowers.indexOf(unit?.toLowerCase() ?? defaultUnit);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

export function formatSize(bytes: number): string {
  if (bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20}M`;
  return bytes % 1024 === 0 ? `${bytes / 1024}k` : `${bytes}B`;
}
