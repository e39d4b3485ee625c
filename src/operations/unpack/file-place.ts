/** A file that an export writes or an import reads; null stands for a standard stream. */
export interface FilePlace {
  /** Absolute, if it is on this machine; else it may begin at the directory in which logins begin. */
  path: string;
  /** Null: this machine. */
  host: FileHost | null;
}

export interface FileHost {
  /** As for `ssh`: HOST or USER@HOST. */
  destination: string;
  /** Null: the port of the ssh configuration. */
  port: number | null;
  /** An ssh_config(5) file to use instead of the user's own. */
  sshConfigFile: string | null;
}

/** For people, and for reports. */
export function placeText({ path, host }: FilePlace): string {
  return host === null ? path : `${host.destination}:${path}`;
}
