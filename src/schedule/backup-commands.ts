/** The command lines that a schedule runs. Pure. */
export interface BackupCommands {
  /** What starts vmferry: node and its main file, both as absolute paths. */
  vmferry: readonly string[];
  /** As `vmferry backup` takes them: names, or absolute paths of images. */
  guests: readonly string[];
  /** The names under which the store keeps them. */
  guestNames: readonly string[];
  /** As a person writes it, but never relative. */
  store: string;
  /** Options of the backup alone, such as `--pause`. */
  backupOptions: readonly string[];
  /** Options of both, such as `--passphrase-file FILE`. */
  commonOptions: readonly string[];
  /** Which snapshots a prune keeps, as its options; null: nothing is pruned. */
  keepOptions: readonly string[] | null;
}

/** First the backup, then a prune for each guest, should there be any. */
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
