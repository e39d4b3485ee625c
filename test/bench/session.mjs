import process from 'node:process';

/** Runs the measuring part of a bench, whose request is this process's argument, to its end. */
export async function runSession(main) {
  // the first process of a namespace is not ended by a signal that it does not listen for
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  try {
    await main(JSON.parse(process.argv[2]));
  } catch (error) {
    console.error(error.message);
    // whatever still runs ends with the namespace
    process.exit(1);
  }
}
