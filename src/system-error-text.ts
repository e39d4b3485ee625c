/** What a person is told of a system call's error that can come from anywhere, and is no defect. */
export interface SystemErrorText {
  code: 'resources-short' | 'usage';
  message: string;
  advice: string;
}

const noFiles: SystemErrorText = {
  code: 'resources-short',
  message: 'This process may not open any more files (EMFILE).',
  advice:
    'It needs some 200 at once. Raise the limit, and run it again: `ulimit -n 1024` in this shell, `LimitNOFILE=1024` in a systemd unit.',
};

const byErrno: Readonly<Record<string, SystemErrorText>> = {
  EMFILE: noFiles,
  ENFILE: {
    code: 'resources-short',
    message: 'This machine has too many files open (ENFILE).',
    advice: 'End what holds them open, or raise the limit of the whole machine: `sysctl fs.file-max`.',
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
      'Raise the limit, and run it again: `ulimit -u` in this shell, `TasksMax` in a systemd unit, the limit of pids of a container.',
  },
};

const directoryGone: SystemErrorText = {
  code: 'usage',
  message: 'The directory that you are in was deleted.',
  advice: 'Go to another one (`cd ~`), and run it again.',
};

/** Null for anything else. By its shape: an error of Node's own modules need not be an instance of the Error known here. */
export function systemErrorText(error: unknown): SystemErrorText | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  const code = String(error.code);
  const syscall = 'syscall' in error ? String(error.syscall) : null;
  if (syscall === 'uv_cwd') return directoryGone;
  if (code === 'ERR_WORKER_INIT_FAILED') {
    const message = 'message' in error ? String(error.message) : '';
    return byErrno[/\bE[A-Z]+$|\bE[A-Z]+\b(?=:)/.exec(message)?.[0] ?? ''] ?? null;
  }
  // Of other calls it only says that there is nothing to read yet.
  if (code === 'EAGAIN' && syscall?.startsWith('spawn') !== true) return null;
  return byErrno[code] ?? null;
}
