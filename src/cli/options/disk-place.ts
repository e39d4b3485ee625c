import { Failure } from '../../failure.ts';
import type { ChosenPlace } from '../../operations/migrate/migration-report.ts';

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f]/;

/** Parses `NAME=PATH`. Throws Failure `usage`. */
export function parseDiskPlace(text: string): ChosenPlace {
  // A file's name may contain an equals sign, and the path begins with a slash.
  const { name, path } = /^(?<name>[^/]+?)=(?<path>\/.*)$/s.exec(text)?.groups ?? {};
  const problem =
    name === undefined || path === undefined
      ? 'it is not NAME=PATH with an absolute path'
      : controlCharacter.test(text)
        ? 'it contains a control character'
        : /\/(?:\.[^/]*)?$/.test(path)
          ? 'the path names no file or device, or its name begins with a dot'
          : null;
  if (problem === null && name !== undefined && path !== undefined) return { name, path };
  throw new Failure('usage', `--disk ${JSON.stringify(text)} is not understood: ${problem}.`, {
    advice: 'For example: --disk root=/dev/vg0/web, or --disk vdb=/srv/guests/data.img',
  });
}
