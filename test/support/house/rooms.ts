/**
 * The house, as doc/architecture.md draws it. A file imports from its own room, from rooms further down, and from the
 * ground, which is the files of src itself.
 */
export const ranks: readonly (readonly string[])[] = [
  ['cli'],
  ['operations'],
  ['hold', 'transfer', 'wire', 'schedule', 'config'],
  ['repository'],
  ['guest'],
  ['image'],
  ['workers'],
  ['pack', 'archive'],
  ['seal', 'codec'],
  ['chunk'],
  ['extent'],
  ['store'],
  ['ssh'],
  ['pipeline', 'system'],
];

/** Rooms that import less than their rank lets them: only from these, and from the ground. */
export const narrowRooms: Readonly<Record<string, readonly string[]>> = {
  cli: ['operations', 'config'],
  schedule: [],
  config: [],
  chunk: ['extent'],
  extent: [],
  store: ['ssh', 'pipeline', 'system'],
};

/** Rooms whose neighbours are few: nothing else imports from them. */
export const importersOf: Readonly<Record<string, readonly string[]>> = {
  store: ['operations', 'wire', 'repository'],
  ssh: ['operations', 'wire', 'store'],
  repository: ['operations'],
  wire: ['operations'],
  hold: ['operations'],
  schedule: ['operations'],
  config: ['operations', 'cli'],
};

/** Where each package, and each module of Node that does much, may be imported. */
export const homes: Readonly<Record<string, readonly string[]>> = {
  yargs: ['cli'],
  'cli-progress': ['cli/reporters'],
  yaml: ['config'],
  'tar-stream': ['pack'],
  ssh2: ['ssh', 'store/sftp'],
  'ssh2-sftp-client': ['ssh', 'store/sftp'],
  koffi: ['system'],
  '@toondepauw/node-zstd': ['codec'],
  'unbzip2-stream': ['codec'],
  '@xmldom/xmldom': ['guest/drivers/libvirt'],
  zlib: ['codec'],
  child_process: ['system', 'ssh'],
  worker_threads: ['workers'],
  zod: ['archive', 'config', 'guest', 'image/target', 'repository', 'wire'],
};

/** Files and folders that touch no file, clock or network, with the modules of Node that they may import all the same. */
export const purePlaces: Readonly<Record<string, readonly string[]>> = {
  'failure.ts': [],
  'events.ts': [],
  'placed-text.ts': [],
  'quote-for-shell.ts': [],
  'rate-limit.ts': [],
  'shell-words.ts': [],
  'unprintable.ts': [],
  'extent/': [],
  'guest/definition.ts': [],
  'guest/drivers/libvirt/domain/': [],
  'guest/drivers/libvirt/xml/': [],
  'guest/drivers/qemu/arguments/': ['path'],
  'guest/definition-language.ts': [],
  'guest/conversion/': [],
  'guest/drivers/xen/config/': ['util'],
  'operations/migrate/probes/answer.ts': [],
  'operations/migrate/probes/probe.ts': [],
  'schedule/': [],
  'cli/terminal/format.ts': [],
  'cli/reporters/progress-rate.ts': [],
  'cli/options/destination.ts': [],
  'chunk/': ['buffer', 'crypto'],
};
