import { oneAtATime } from '../../../../system/one-at-a-time.ts';
import type { GuestIdentity } from '../../../guest-driver.ts';

/** Another vmferry may ask the guest for a moment. */
const patienceMs = 5_000;

/** Only one vmferry at a time gives orders to a run of a guest. Null when another one does. */
export async function lockGuest({ id }: GuestIdentity): Promise<AsyncDisposable | null> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  let finished: Promise<boolean> = Promise.resolve(false);
  const isLocked = await new Promise<boolean>((resolve, reject) => {
    finished = oneAtATime(`qemu ${id}`, patienceMs, () => {
      resolve(true);
      return released;
    });
    finished.then((ran) => (ran ? undefined : resolve(false)), reject);
  });
  if (!isLocked) return null;
  return {
    async [Symbol.asyncDispose]() {
      release();
      await finished;
    },
  };
}
