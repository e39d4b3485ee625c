import process from 'node:process';

/** Runs the measuring part of a bench. Its request is this process's argument. */
export async function runSession(main) {
  // a signal without a listener does not end the first process of a namespace
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  try {
    await main(JSON.parse(process.argv[2]));
  } catch (error) {
    console.error(error.message);
    // processes that still run end with the namespace
    process.exit(1);
  }
}
