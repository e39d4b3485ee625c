/** The text for a system call's error that can occur anywhere, and is not a defect of vmferry. */
export interface SystemErrorText {
  code: 'resources-short' | 'usage';
  message: string;
  advice: string;
}

const noFiles: SystemErrorText = {
  code: 'resources-short',
  message: 'This process may not open any more files (EMFILE).',
  advice:
    'About 200 are needed at once. Raise the limit, and run it again: `ulimit -n 1024` in this shell, `LimitNOFILE=1024` in a systemd unit.',
};

const byErrno: Readonly<Record<string, SystemErrorText>> = {
  EMFILE: noFiles,
  ENFILE: {
    code: 'resources-short',
    message: 'This machine has too many files open (ENFILE).',
    advice:
      'End programs that have many files open, or raise the limit of the machine: `sysctl fs.file-max`.',
  },
  ENOMEM: {
    code: 'resources-short',
    message: 'This machine has no memory left for vmferry (ENOMEM).',
    advice: 'End other programs, or add swap, and run it again.',
  },
  EAGAIN: {
    code: 'resources-short',
    message: 'No more processes or threads may be started (EAGAIN).',
    advice:
      'Raise the limit, and run it again: `ulimit -u` in this shell, `TasksMax` in a systemd unit, or the pids limit of a container.',
  },
};

const directoryGone: SystemErrorText = {
  code: 'usage',
  message: 'The directory that you are in was deleted.',
  advice: 'Change to another directory (`cd ~`), and run it again.',
};

/** Null for any other error. Checks the shape: an error of a Node module may be an instance of another Error class. */
export function systemErrorText(error: unknown): SystemErrorText | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  const code = String(error.code);
  const syscall = 'syscall' in error ? String(error.syscall) : null;
  if (syscall === 'uv_cwd') return directoryGone;
  if (code === 'ERR_WORKER_INIT_FAILED') {
    const message = 'message' in error ? String(error.message) : '';
    return byErrno[/\bE[A-Z]+$|\bE[A-Z]+\b(?=:)/.exec(message)?.[0] ?? ''] ?? null;
  }
  // From other calls EAGAIN only means that there is nothing to read yet.
  if (code === 'EAGAIN' && syscall?.startsWith('spawn') !== true) return null;
  return byErrno[code] ?? null;
}
