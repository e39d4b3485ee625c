/** The command lines that a schedule runs. Pure. */
export interface BackupCommands {
  /** The command that starts vmferry: node and its main file, both as absolute paths. */
  vmferry: readonly string[];
  /** The arguments of `vmferry backup`: names, or absolute paths of images. */
  guests: readonly string[];
  /** The names of the guests in the store. */
  guestNames: readonly string[];
  /** As typed, but never a relative path. */
  store: string;
  /** Options only for the backup, such as `--pause`. */
  backupOptions: readonly string[];
  /** Options for backup and prune, such as `--passphrase-file FILE`. */
  commonOptions: readonly string[];
  /** The keep options of the prune; null: nothing is pruned. */
  keepOptions: readonly string[] | null;
}

/** The backup, then a prune for each guest if there are keep options. */
export function backupCommands(what: BackupCommands): string[][] {
  const { vmferry, guests, guestNames, store, backupOptions, commonOptions, keepOptions } = what;
  const backup = [...vmferry, 'backup', ...guests, '--to', store, ...backupOptions, ...commonOptions];
  if (keepOptions === null) return [backup];
  const prunes = guestNames.map((name) => [
    ...vmferry,
    'prune',
    store,
    '--guest',
    name,
    ...keepOptions,
    ...commonOptions,
  ]);
  return [backup, ...prunes];
}
