/** What an inode says. */
export interface ExtFile {
  inode: number;
  type: 'regular' | 'directory' | 'symlink' | 'other';
  /** Permissions, without the type. */
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  links: number;
  flags: number;
  /** For a link whose target is in the inode (up to 59 bytes). */
  target: string | null;
}
