#!/usr/bin/env node
try {
  await import('../dist/cli/main.js');
} catch (error) {
  // With so few files that the program cannot even be loaded, nothing that it has can say so.
  if (error.code !== 'EMFILE') throw error;
  process.stderr.write(
    'error: This process may not open any more files (EMFILE).\n' +
      '       It needs some 200 at once. Raise the limit, and run it again: ulimit -n 1024\n',
  );
  process.exitCode = 10;
}
