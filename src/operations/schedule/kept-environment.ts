import type { GuestDriver } from '../../guest/guest-driver.ts';

/** The variables by which guests and records are found. */
export const stateVariables = ['VMFERRY_STATE_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME'] as const;

/** The variables that a service needs to find the same guests. A service has no HOME of its own. */
export function keptEnvironment(
  environment: NodeJS.ProcessEnv,
  drivers: readonly GuestDriver[],
  ownVariables: readonly string[] = stateVariables,
): Record<string, string> {
  const names = new Set(['HOME', ...drivers.flatMap((driver) => driver.environmentNames), ...ownVariables]);
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const value = environment[name];
      return value ? [[name, value]] : [];
    }),
  );
}
