import { resolve } from 'node:path';
import type { ConvertDependencies, ConvertReport } from '../../operations/convert/convert.ts';
import type { Command } from '../options/command.ts';
import {
  conversionOptions,
  readConversionOptions,
  repeatableConversionOptions,
  splitPair,
} from '../options/conversion-options.ts';
import { optionalText, text, texts } from '../options/options.ts';

const hypervisors = ['uml', 'qemu', 'libvirt', 'xen'] as const;

export const convertCommand: Command<ConvertDependencies> = {
  usage: 'convert <guest>',
  summary: 'Show what a guest would become under another hypervisor; change nothing',
  repeatable: [...repeatableConversionOptions, 'disk'],
  define: (parser) =>
    parser
      .positional('guest', {
        type: 'string',
        describe:
          'A guest, by its name; or a file: for xl or xm, the XML of a libvirt domain, or the command line of QEMU or User ' +
          'Mode Linux',
      })
      .options({
        as: { choices: hypervisors, demandOption: true, requiresArg: true, describe: 'The other hypervisor' },
        from: {
          choices: hypervisors,
          requiresArg: true,
          describe: 'The language of the file, if vmferry does not recognise it',
        },
        disk: {
          type: 'string',
          requiresArg: true,
          describe: 'NAME=PATH: another place of a disk (ubd0, vda, its file name, or root). May be repeated',
        },
        ...conversionOptions,
        kernel: {
          ...conversionOptions.kernel,
          describe: "File of the kernel that the guest boots there, instead of that machine's own",
        },
      })
      .example('$0 convert web --as xen', 'the guest web as a file for xl')
      .example('$0 convert /etc/xen/web.cfg --as libvirt > web.xml', 'an old file as the XML of a domain')
      .example(
        '$0 convert web --as qemu --disk root=/dev/vg0/web --network eth0=br0',
        'with another disk and bridge',
      ),
  read: (args) => {
    const request = {
      guest: text(args, 'guest'),
      to: hypervisor(text(args, 'as')),
      from: hypervisorOrNull(optionalText(args, 'from')),
      disks: texts(args, 'disk').map((one) => {
        const [name, path] = splitPair('disk', one, 'NAME=PATH');
        return { name, path: resolve(path) };
      }),
      ...readConversionOptions(args),
    };
    return async ({ dependencies, context }) => {
      const { convertGuest } = await import('../../operations/convert/convert.ts');
      const report = await convertGuest(request, dependencies, context);
      tell(report, (message) => {
        context.report({ type: 'notice', message });
      });
      return { record: report, text: report.text.trimEnd() };
    };
  },
};

type Hypervisor = (typeof hypervisors)[number];

function hypervisorOrNull(word: string | null): Hypervisor | null {
  return hypervisors.find((kind) => kind === word) ?? null;
}

/** yargs has refused any other word. */
function hypervisor(word: string): Hypervisor {
  return hypervisorOrNull(word) ?? 'qemu';
}

function tell({ changes, losses }: ConvertReport, say: (line: string) => void): void {
  for (const change of changes) say(`change: ${change}`);
  for (const loss of losses) say(`lost: ${loss}`);
}
