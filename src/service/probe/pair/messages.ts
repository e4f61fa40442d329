import { errnoOf } from '../../../run/files.ts';
import type { RootStore } from '../../../store/root.ts';
import type { ProbeHost } from '../area.ts';

/** The outcome of an attempt to probe with a second node. */
export type PairResult =
  /** This server or the other one has the answer and has kept it. */
  | 'settled'
  /** No other server is alive, or none answered the invitation. */
  | 'alone'
  /** Anything else went wrong; the probe can be tried again. */
  | 'unknown';

/** How long each side waits for the next message of the other. */
export const wordMs = 60_000;

const pollMs = 200;

/** Polls until the condition holds; false after `limitMs`. */
export async function waitFor(
  { clock }: ProbeHost,
  limitMs: number,
  isSo: () => Promise<boolean>,
): Promise<boolean> {
  for (let waited = 0; waited <= limitMs; waited += pollMs) {
    if (await isSo()) return true;
    await clock.sleep(pollMs);
  }
  return false;
}

/** Reads the message that the other side leaves in a file; undefined when it does not come in time. */
export async function wordOf(
  host: ProbeHost,
  store: RootStore,
  path: string,
): Promise<string | undefined> {
  // A new file may still be empty: its text is written after its name appears.
  let text = '';
  const came = await waitFor(host, wordMs, async () => {
    text = await store.files.read(path).catch(emptyWhenMissing);
    return text.endsWith('\n');
  });
  return came ? text.trimEnd() : undefined;
}

const emptyWhenMissing = (error: unknown): string => {
  if (errnoOf(error) === 'ENOENT') return '';
  throw error;
};

/** Leaves a message for the other side. */
export const say = (store: RootStore, path: string, word: string): Promise<void> =>
  store.files.createDurable(path, `${word}\n`, 0o640);
