import type { Argv } from 'yargs';
import { Failure } from '../../../failure.ts';
import type { ExportDependencies } from '../../../operations/exchange/export.ts';
import { readExportFile } from '../../options/archive-options.ts';
import type { Command } from '../../options/command.ts';
import { bootOptions, haltOptions, readBootOptions, readHaltOptions } from '../../options/guest-options.ts';
import { imageFormatOption, readImageFormat } from '../../options/image-format-options.ts';
import { flag, text, wholeNumberOr } from '../../options/options.ts';
import { exportReportText } from '../../texts/exchange-text.ts';

export const exportCommand: Command<ExportDependencies> = {
  usage: 'export <guest>',
  summary: 'Write a guest, or an image, to one file that any machine can open',
  define: (parser: Argv) =>
    parser
      .positional('guest', {
        type: 'string',
        describe: 'A guest, by its name, or the path of an image that no guest uses',
      })
      .options({
        output: {
          alias: 'o',
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe:
            'A new file; its name tells the format: .tar.zst, .tar.gz, .tar.xz, .tar.bz2, .tar, or .img.bz2 and so on for ' +
            'the bare image. - is standard output',
        },
        codec: {
          type: 'string',
          requiresArg: true,
          describe: 'zstd, gzip, xz, bzip2 or none, whatever the name says',
        },
        image: { type: 'boolean', describe: 'The bare image of the only disk, whatever the name says' },
        compression: {
          type: 'string',
          default: 'auto',
          requiresArg: true,
          describe: 'zstd level, 1 to 19; auto: 1 to 9, to suit the disk and the cores',
        },
        pause: {
          type: 'boolean',
          describe: 'Pause a running guest while its disk is read, if its file system has no reflinks',
        },
        halt: {
          type: 'boolean',
          describe: 'Halt a running guest, and start it again after its disk was read',
        },
        'every-block': { type: 'boolean', describe: 'Export free blocks of the file system, too' },
        'image-format': imageFormatOption,
        ...haltOptions,
        ...bootOptions,
      })
      .example('$0 export web -o web.tar.zst', 'a halted guest, its definition and its disks')
      .example('$0 export web --halt -o /mnt/usb/web.tar.xz', 'halts it, and starts it again')
      .example('$0 export /srv/debian.img -o debian.img.bz2', 'one image, compressed with bzip2')
      .example('$0 export web -o - | ssh newhost vmferry import - --to /srv/guests/', 'through a pipe'),
  read: (args) => {
    const [pause, halt] = [flag(args, 'pause'), flag(args, 'halt')];
    if (pause && halt) throw new Failure('usage', '--pause and --halt exclude each other.');
    const file = readExportFile(args);
    if (file.output === null && flag(args, 'json'))
      throw new Failure('usage', 'With --json, standard output is for JSON: name a file with -o.');
    const request = {
      guest: text(args, 'guest'),
      ...file,
      compression: wholeNumberOr(args, 'compression', 1, 19, 'auto'),
      everyBlock: flag(args, 'every-block'),
      hold: halt ? 'halt' : pause ? 'pause' : 'clone',
      ...readImageFormat(args),
      ...readHaltOptions(args),
      ...readBootOptions(args),
    } as const;
    return async ({ dependencies, context, stdout }) => {
      const { exportGuest } = await import('../../../operations/exchange/export.ts');
      const report = await exportGuest(request, stdout, dependencies, context);
      const summary = exportReportText(report);
      if (report.output !== null) return { record: report, text: summary, isSummary: true };
      // Standard output is the archive's.
      context.report({ type: 'notice', message: summary });
      return { record: report, text: '' };
    };
  },
};
