import { resolve } from 'node:path';
import process from 'node:process';
import type { Argv } from 'yargs';
import { Failure } from '../../../failure.ts';
import type { ImportDependencies } from '../../../operations/exchange/import.ts';
import type { Command } from '../../options/command.ts';
import { flag, optionalText, text } from '../../options/options.ts';
import { readFilePlace } from '../../options/archive-options.ts';
import { sshConfigOption } from '../../options/ssh-config-option.ts';
import { asOptions, oldHostIsGoneOption, readStart } from '../../options/as-options.ts';
import { repeatableConversionOptions } from '../../options/conversion-options.ts';
import { bootOptions } from '../../options/guest-options.ts';
import { confirmation } from '../../terminal/confirmation.ts';
import { importReportText } from '../../texts/exchange-text.ts';

export const importCommand: Command<ImportDependencies> = {
  repeatable: repeatableConversionOptions,
  usage: 'import <file>',
  summary: 'Unpack an archive or a compressed image, and read it back',
  define: (parser: Argv) =>
    parser
      .positional('file', {
        type: 'string',
        describe:
          'An archive of vmferry export, an OVA, another tar of images, or an image that is compressed with bzip2, gzip, xz or ' +
          'zstd: the content tells which. HOST:PATH is a file on another machine, - is standard input',
      })
      .options({
        to: {
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe: 'A new file, a directory, or a block device',
        },
        start: { type: 'boolean', describe: 'Boot the guest here after the import' },
        definition: {
          type: 'string',
          requiresArg: true,
          describe:
            'With --start: a file that describes the guest of a bare image (for xl, of libvirt, or with the command line of ' +
            'QEMU or User Mode Linux)',
        },
        'old-host-is-gone': oldHostIsGoneOption,
        ...asOptions,
        ...bootOptions,
        ...sshConfigOption,
        overwrite: { type: 'boolean', describe: 'Lose what the block device holds now' },
      })
      .example('$0 import debian-root.bz2 --to /srv/guests/debian.img', 'an image from 2005')
      .example(
        '$0 import web.tar.zst --to /srv/guests/',
        'all disks of an archive, compared with its checksums',
      )
      .example(
        '$0 import old.bz2 --to /srv/old.img --start --definition old.sh',
        'and booted by its old command line',
      )
      .example('$0 import web.tar.zst --to /srv/guests/ --start --as qemu', 'and booted under QEMU')
      .example('$0 import box:archives/web.tar.zst --to /srv/guests/', 'from another machine')
      .example('$0 import web.img.gz --to /dev/vg0/web', 'onto a logical volume'),
  read: (args) => {
    const [file, to] = [text(args, 'file'), text(args, 'to')];
    const request = {
      from: file === '-' ? null : readFilePlace(args, file),
      // A slash at the end means a directory.
      to: `${resolve(to)}${/[^/]\/+$/.test(to) ? '/' : ''}`,
      overwrite: flag(args, 'overwrite'),
    };
    const mayAsk = !flag(args, 'json') && request.from !== null;
    const definition = optionalText(args, 'definition');
    if (definition !== null && !flag(args, 'start'))
      throw new Failure('usage', '--definition has an effect only with --start.');
    const start = readStart(args);
    return async ({ dependencies, context, stdin }) => {
      const { importArchive } = await import('../../../operations/exchange/import.ts');
      const ask = mayAsk ? confirmation(stdin, process.stderr) : null;
      const definitionFile = definition === null ? null : resolve(definition);
      const whole = { ...request, start: start === null ? null : { ...start, ask, definitionFile } };
      const report = await importArchive(whole, stdin, dependencies, context);
      return { record: report, text: importReportText(report), isSummary: true };
    };
  },
};
