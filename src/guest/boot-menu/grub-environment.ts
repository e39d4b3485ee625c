/** GRUB's block of variables (grubenv; GRUB manual, ‘The GRUB environment block’). */
export function readGrubEnvironment(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return new Map(
    lines.flatMap((line) => {
      const [, name, value = ''] = /^(\w{1,200})=(.*)$/.exec(line) ?? [];
      return name === undefined || value === '' ? [] : [[name, value.replaceAll(/\\(.)/g, '$1')] as const];
    }),
  );
}
