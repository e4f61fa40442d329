import { errnoOf } from '../../../run/files.ts';
import type { RootStore } from '../../../store/root.ts';
import type { ProbeHost } from '../area.ts';

/** What came of an attempt to probe with a second node. */
export type PairResult =
  /** Answered and kept, by this server or by the other one. */
  | 'settled'
  /** No other server is alive, or none took part. */
  | 'alone'
  /** Something else went wrong; it can be tried again. */
  | 'unknown';

/** How long each side waits for the next word of the other. */
export const wordMs = 60_000;

const pollMs = 200;

/** Asks again and again until it is so; false when the time is over. */
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

/** Whether a name exists. */
export const isThere = (store: RootStore, path: string): Promise<boolean> =>
  store.files.stat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );

/** A word that the other side leaves in a file; undefined when it does not come. */
export async function wordOf(
  host: ProbeHost,
  store: RootStore,
  path: string,
): Promise<string | undefined> {
  // A file that is there may still be empty: its text follows its name.
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

/** Leaves a word for the other side. */
export const say = (store: RootStore, path: string, word: string): Promise<void> =>
  store.files.createDurable(path, `${word}\n`, 0o640);
