import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { Failure } from '../../../failure.ts';
import type { FilterDependencies } from '../../../operations/exchange/filters.ts';
import type { Command } from '../../options/command.ts';
import { flag, text } from '../../options/options.ts';
import { importReportText } from '../../texts/exchange-text.ts';

export const importCommand: Command<FilterDependencies> = {
  usage: 'import <file>',
  summary: 'Unpack an archive or a compressed image, and read it back',
  define: (parser: Argv) =>
    parser
      .positional('file', {
        type: 'string',
        describe:
          'An archive of vmferry export, another tar of images, or an image that is compressed with bzip2, gzip, xz or ' +
          'zstd: the content tells which. - is standard input',
      })
      // Without this, the parser takes - for an option without a name.
      .nargs('file', 1)
      .options({
        to: {
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe: 'A new file, a directory, or a block device',
        },
        overwrite: { type: 'boolean', describe: 'Lose what the block device holds now' },
      })
      .example('$0 import debian-root.bz2 --to /srv/guests/debian.img', 'an image from 2005')
      .example(
        '$0 import web.tar.zst --to /srv/guests/',
        'all disks of an archive, compared with its checksums',
      )
      .example('$0 import web.img.gz --to /dev/vg0/web', 'onto a logical volume'),
  read: (args) => {
    const [file, to] = [text(args, 'file'), text(args, 'to')];
    const request = {
      from: file === '-' ? null : resolve(file),
      // A slash at the end means a directory.
      to: `${resolve(to)}${/[^/]\/+$/.test(to) ? '/' : ''}`,
      overwrite: flag(args, 'overwrite'),
    };
    return async ({ dependencies, context, stdin }) => {
      if (request.from === null && 'isTTY' in stdin && stdin.isTTY === true)
        throw new Failure('usage', 'An archive is not read from a terminal.', { advice: 'Name the file.' });
      const { importArchive } = await import('../../../operations/exchange/import.ts');
      const report = await importArchive(request, stdin, dependencies, context);
      return { record: report, text: importReportText(report), isSummary: true };
    };
  },
};
