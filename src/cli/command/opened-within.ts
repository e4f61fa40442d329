import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../../model/fault.ts';

/** How long a command that only shows waits for a root. */
const patienceMs = 10_000;

/** Opens a root, unless the file system under it hangs. Throws unavailable after ten seconds. */
export async function openedWithin<T>(path: string, open: () => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const late = async (): Promise<never> => {
    await sleep(patienceMs, undefined, { signal: ended.signal });
    throw new DriverError(
      'unavailable',
      `root ${path} gave no answer in ${patienceMs / 1000} seconds: its file system hangs; see mmdiag --waiters on this node`,
    );
  };
  const waiting = late();
  waiting.catch(() => undefined);
  try {
    return await Promise.race([open(), waiting]);
  } finally {
    ended.abort();
  }
}
