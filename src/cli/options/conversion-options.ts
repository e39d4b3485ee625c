import { resolve } from 'node:path';
import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import { optionalText, texts, type Arguments } from './options.ts';

/** For every command that puts a guest under another hypervisor. */
export const conversionOptions = {
  kernel: {
    type: 'string',
    requiresArg: true,
    describe:
      "Kernel that the guest boots there, instead of that machine's own; `guest`: the guest's own, out of its disk (QEMU, libvirt)",
  },
  initrd: {
    type: 'string',
    requiresArg: true,
    describe: 'Initial RAM disk of that kernel',
  },
  network: {
    type: 'string',
    requiresArg: true,
    describe:
      'CARD=BRIDGE: what a network card is attached to there (eth0: the first card; or its MAC). Also ' +
      'CARD=network:NAME, CARD=tap:NAME, CARD=user. May be repeated',
  },
} as const satisfies Record<string, Options>;

/** The options that may be given several times. */
export const repeatableConversionOptions = ['network'] as const;

export interface GivenChoices {
  kernel: string | null;
  initrd: string | null;
  networks: readonly { card: string; attachedTo: string }[];
}

/** Throws Failure `usage`. */
export function readConversionOptions(args: Arguments): GivenChoices {
  const absolute = (path: string | null) => (path === null ? null : resolve(path));
  return {
    kernel: isGuestKernel('kernel', args) ? 'guest' : absolute(optionalText(args, 'kernel')),
    initrd: absolute(optionalText(args, 'initrd')),
    networks: texts(args, 'network').map((text) => {
      const [card, attachedTo] = splitPair('network', text, 'CARD=BRIDGE');
      return { card, attachedTo };
    }),
  };
}

/** `--kernel guest` */
export function isGuestKernel(option: string, args: Arguments): boolean {
  return option === 'kernel' && optionalText(args, 'kernel') === 'guest';
}

/** The two sides of `root=/srv/web.img`. Throws Failure `usage`. */
export function splitPair(option: string, text: string, form: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new Failure('usage', `--${option} ${text} is not understood: it is not ${form}.`);
}
