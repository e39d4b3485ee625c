/** Where a store lies. */
export type StoreLocation =
  | { kind: 'directory'; path: string }
  | {
      kind: 'sftp';
      /** As one would type it after `ssh`: an alias, a host name, or user@host. */
      destination: string;
      /** Null: as ssh's configuration has it. */
      port: number | null;
      /** Absolute, or relative to the directory that a login begins in. */
      path: string;
    };
