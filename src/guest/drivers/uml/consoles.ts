/**
 * The consoles of a User Mode Linux guest that runs detached, without a terminal. Sources: arch/um/drivers/stdio_console.c
 * and line.c of the kernel (the defaults below are Debian's, and the kernel's own).
 */
const defaultFirstConsole = 'fd:0,fd:1';

/**
 * The command line with its consoles detached from the terminal. Input from a file descriptor becomes `null`, since a
 * getty would spin at end-of-file. Output to one goes to standard output, which is the log. Terminal windows (`xterm`)
 * become `null`. Consoles on pseudo-terminals, ports and devices stay.
 */
export function detachConsoles(commandLine: readonly string[]): string[] {
  const defaults: string[] = [];
  if (!commandLine.some((argument) => argument.startsWith('con='))) {
    // By default the first console is the terminal, and the others open windows.
    defaults.push('con=null');
    if (!commandLine.some((argument) => argument.startsWith('con0=')))
      defaults.push(`con0=${detachChannel(defaultFirstConsole)}`);
  }
  return [...defaults, ...commandLine.map(detachArgument)];
}

function detachArgument(argument: string): string {
  const [, line, channel] = /^((?:con|ssl)\d*)=(.*)$/s.exec(argument) ?? [];
  return line === undefined || channel === undefined ? argument : `${line}=${detachChannel(channel)}`;
}

/** A channel for both directions, or one for input and one for output with a comma between. */
function detachChannel(channel: string): string {
  const comma = channel.indexOf(',');
  const input = comma < 0 ? channel : channel.slice(0, comma);
  const output = comma < 0 ? channel : channel.slice(comma + 1);
  const detachedInput = isTerminal(input) ? 'null' : input;
  const detachedOutput = isDescriptor(output) ? 'fd:1' : isTerminal(output) ? 'null' : output;
  return detachedInput === detachedOutput ? detachedInput : `${detachedInput},${detachedOutput}`;
}

function isTerminal(channel: string): boolean {
  return isDescriptor(channel) || /^xterm(:|$)/.test(channel);
}

function isDescriptor(channel: string): boolean {
  return channel.startsWith('fd:');
}
